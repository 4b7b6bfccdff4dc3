"""The outcome of the controls as a Markdown table, and its place in a page."""

from pathlib import Path

from rnntrade.controls.rules import ControlRow, ControlsReport
from rnntrade.errors import ConfigError
from rnntrade.storage import atomic_file

HEADER = (
    "| control | accuracy, by seed | best possible | captured | p | rule | passed |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)


def markdown(report: ControlsReport) -> str:
    """Return the table, a line on the N tests, and the outcome."""
    n_line = (
        f"N tests rejected: {report.rejected} of {report.tests}, at most {report.allowed} may be.  "
        "With * an edge was missed (P) or found (N), with ! the ceiling was broken."
    )
    outcome = "All controls passed." if report.passed else " ".join(("FAILED:", *report.reasons))
    return "\n".join((*HEADER, *(_line(row) for row in report.rows), "", n_line, "", outcome, ""))


def insert(page: Path, name: str, text: str) -> None:
    """Put `text` between the lines <!-- name --> and <!-- end name --> of a page."""
    start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    if not page.is_file():
        raise ConfigError(f"{page} is not there to write the table into.  Name docs/controls.md.")
    before, opened, rest = page.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ConfigError(f"{page} has no lines {start.strip()} and {end} to write between.")
    with atomic_file(page) as temporary:
        temporary.write_text(f"{before}{start}{text}{end}{after}", encoding="utf-8")


def _line(row: ControlRow) -> str:
    fits = row.results
    marks = {"found": "", "quiet": "", "missed": "*", "rejected": "*", "leak": "!"}
    captured = [fit.captured for fit in fits if fit.captured is not None]
    cells = (
        row.control,
        " ".join(f"{fit.accuracy:.3f}{marks[fit.verdict]}" for fit in fits) or "not run",
        _range([fit.best for fit in fits]),
        _range(captured),
        _p(row, bool(captured)),
        row.rule,
        "yes" if row.passed else "NO",
    )
    return f"| {' | '.join(cells)} |"


def _p(row: ControlRow, edge: bool) -> str:
    """Return the worst seed's: the largest of a P control, the smallest of an N control."""
    if not row.results:
        return "-"
    values = [fit.p_value for fit in row.results]
    return f"at most {max(values):.1g}" if edge else f"at least {min(values):.2g}"


def _range(values: list[float]) -> str:
    if not values:
        return "-"
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"
