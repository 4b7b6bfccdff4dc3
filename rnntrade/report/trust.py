"""Sections of the report that no single model owns: the leak audit, and all models together."""

from collections.abc import Iterator
from math import isfinite

import pandas as pd

from rnntrade.evaluation.compare import OVERFITTING_NEEDED, Comparison
from rnntrade.evaluation.verdict import Interval, plain
from rnntrade.report.contents import AuditSummary, ReportContents
from rnntrade.report.markup import bullets, folded, paragraph
from rnntrade.report.tables import NOTHING, Kind, formatted, html_table

FINDINGS_SHOWN = 20

Parts = Iterator[str]


def holdout(note: str) -> Parts:
    """What became of the final holdout; a spent one is stamped."""
    if note:
        text = f"Final holdout: {note[0].lower()}{note[1:]}"
        yield paragraph(text, "leaky" if "spent" in note.lower() else "")


def audit_warning(audit: AuditSummary | None) -> Parts:
    """A warning for the head of the page, where the audit was not clean."""
    if audit is not None and not audit.clean:
        yield paragraph(
            f"LEAK AUDIT FAILED with {_count(len(audit.findings), 'finding')}: nothing below shows "
            "skill until that is mended.",
            "leaky",
        )


def leak_audit(audit: AuditSummary | None) -> Parts:
    """What was compared and how often, what was found, and how much history features need."""
    if audit is None:
        yield paragraph("This run was not audited: nobody looked for leaks.", "leaky")
        return
    total = sum(audit.comparisons.values())
    compared = f"{total:,} comparisons in {_count(len(audit.comparisons), 'stage')}"
    if audit.clean:
        yield paragraph(f"No leak found: all of {compared} came out as they must.")
    elif audit.findings:
        yield paragraph(f"{_count(len(audit.findings), 'finding')}, from {compared}:", "leaky")
        more = len(audit.findings) - FINDINGS_SHOWN
        rest = [f"and {more:,} more, in the audit's own file"] if more > 0 else []
        yield bullets([*audit.findings[:FINDINGS_SHOWN], *rest])
    else:
        yield paragraph("The audit compared nothing, so it says nothing.", "leaky")
    if audit.comparisons:
        table = pd.DataFrame(
            {"comparisons": list(audit.comparisons.values())},
            pd.Index([plain(stage) for stage in audit.comparisons], name="stage"),
        )
        yield html_table(table, {"comparisons": "count"}, caption="What was compared")
    if audit.warm_up is not None and len(audit.warm_up):
        kinds = {str(name): _warm_up_kind(column) for name, column in audit.warm_up.items()}
        yield folded("How much history each feature needs", html_table(audit.warm_up, kinds))


def _warm_up_kind(column: pd.Series) -> Kind:
    if pd.api.types.is_integer_dtype(column):
        return "count"
    return "tiny" if pd.api.types.is_float_dtype(column) else "text"


def together(contents: ReportContents) -> Parts:
    """Whether the best of all models is better than a benchmark by more than the picking."""
    rows = []
    sentences: list[str] = []
    needed = f"PBO below {OVERFITTING_NEEDED:g}"
    for each in (contents.comparison or {}).values():
        rows.append(
            {
                "question": each.question,
                "benchmark": _benchmark(each),
                "compared": len(each.models),
                "SPA p": each.spa_p,
                "lower to upper": _range(each.spa_range, 3),
                "better, by StepM": ", ".join(each.better) or "none",
                "PBO": each.overfitting,
                "its noise band": _range(each.overfitting_band),
                needed: _reached(each.overfitting),
            }
        )
        sentences.append(f"{_sentence(each)} {each.note}".rstrip())
    kinds: dict[str, Kind] = {
        "SPA p": "p",
        "compared": "count",
        "PBO": "ratio",
        "lower to upper": "number",
        "its noise band": "number",
    }
    yield html_table(pd.DataFrame(rows), kinds)
    yield bullets(sentences)
    yield paragraph(
        "SPA asks whether the best of all is better than the benchmark once the choice among them "
        "counts; StepM names those that are. PBO is the probability of backtest overfitting: "
        f"below {OVERFITTING_NEEDED:g} is needed, and inside its noise band it is what chance "
        "gives.",
        "note",
    )


def _sentence(each: Comparison) -> str:
    compared = f"{_count(len(each.models), 'candidate')} ({', '.join(each.models)})"
    if not isfinite(each.spa_p):
        return f"{each.question}: too few sessions to compare {compared}."
    p = formatted(each.spa_p, "p")
    told = f"SPA p {p}" if p.startswith("<") else f"SPA p = {p}"
    if each.better:
        verb = "is" if len(each.better) == 1 else "are"
        found = f"of {compared}, {', '.join(each.better)} {verb} better than {_benchmark(each)}"
    else:
        found = f"none of {compared} is better than {_benchmark(each)}"
    return f"{each.question}: {found} once the choice among them counts; {told}."


def _benchmark(each: Comparison) -> str:
    """A baseline in words; the model whose inputs it reads, by its name."""
    baseline, of, model = each.benchmark.partition(" of ")
    return plain(baseline) + of + model


def _reached(overfitting: float) -> str:
    if not isfinite(overfitting):
        return NOTHING
    return "reached" if overfitting < OVERFITTING_NEEDED else "not reached"


def _range(bounds: Interval, digits: int = 2) -> str:
    if not all(isfinite(bound) for bound in bounds):
        return NOTHING
    return f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
