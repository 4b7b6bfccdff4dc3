"""What an audit wrote down, for those that read it without running one."""

import json
from typing import Any

from rnntrade.audit.findings import Finding
from rnntrade.errors import LeakError
from tasks.artifacts import Ref

SHOWN = 5  # findings in an error


def load_audit(ref: Ref) -> dict[str, Any]:
    """What `audit` found: clean, compared, comparisons, findings, checks."""
    about: dict[str, Any] = json.loads((ref.folder / "audit.json").read_text(encoding="utf-8"))
    return about


def require_clean(ref: Ref, tolerated: str = "") -> None:
    """Raise LeakError with the first findings, if there are any.

    tolerated  stage whose findings are let pass: a leak that was asked for by name
    """
    about = load_audit(ref)
    every = [Finding(**each) for each in about["findings"]]
    findings = [each for each in every if each.stage != tolerated]
    if about["clean"] or (every and not findings):
        return
    if not findings:
        raise LeakError("the audit compared nothing: there was nothing to audit.")
    shown = "\n".join(f"  {each.sentence()}" for each in findings[:SHOWN])
    more = f"\n  and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    raise LeakError(
        f"the audit found {len(findings)} numbers that do not follow from what was known:\n"
        f"{shown}{more}\n"
        f"Do not believe this run.  All findings are in {ref.folder / 'audit.json'}: mend the "
        "first stage that is named, or, if only files changed, remove them and run again."
    )
