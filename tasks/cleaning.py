"""What no recorded run refers to, and its removal."""

import re
import shutil
from pathlib import Path

from tasks.home import artifacts_folder
from tasks.refs import read_manifest
from tasks.tracking.runs import is_recorded

KEPT = {"runs", "locks", "results", "controls", "policies"}  # not outputs of steps


def unused() -> list[tuple[Path, int]]:
    """Folders in artifacts/ that no recorded run refers to, with their sizes in bytes.

    Ask, and remove, while nobody runs: what a run makes is recorded at its end.
    """
    used: set[Path] = set()
    for manifest in (artifacts_folder() / "runs").glob("*.json"):
        if is_recorded(manifest.stem):
            used |= {ref.folder for ref in read_manifest(manifest)}
    return [
        (path, sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
        for step in sorted(artifacts_folder().glob("*"))
        if step.is_dir() and step.name not in KEPT
        for path in sorted(step.iterdir())
        if path not in used
    ]


def remove(found: list[tuple[Path, int]]) -> None:
    """Remove these folders, and the results in Prefect's store that point to what is gone."""
    for path, _ in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for result in (artifacts_folder() / "results").glob("*"):
        if result.is_file() and not _points_to_files(result):
            result.unlink(missing_ok=True)


def _points_to_files(result: Path) -> bool:
    named = re.findall(
        r'"step\\*": \\*"(\w+)\\*", \\*"digest\\*": \\*"(\w{16})',
        result.read_text(encoding="utf-8"),
    )
    return all((artifacts_folder() / step / digest).is_dir() for step, digest in named)
