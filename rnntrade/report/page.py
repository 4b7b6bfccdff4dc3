"""The report: one page that needs nothing beside it, and the same bytes for the same contents."""

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from rnntrade.report.contents import Picture, ReportContents, Section
from rnntrade.report.sections import sections
from rnntrade.storage import atomic_file

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 1.2rem 1rem 4rem; background: #fff;
  color: #1c1c1c; font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .6rem; border-top: 2px solid #e4e4e4;
  overflow-wrap: anywhere; }
h3 { font-size: 1.02rem; margin: 1.4rem 0 .4rem; }
.sub { color: #555; margin: 0 0 1rem; }
.verdict { border-left: 5px solid #0072B2; background: #f2f7fb; padding: .7rem 1rem;
  margin: 1rem 0; }
.verdict p { margin: .35rem 0; }
.verdict p:first-child { font-size: 1.12rem; font-weight: 600; }
.leaky { border-left: 5px solid #b00020; background: #fdecee; color: #8a0019; padding: .7rem 1rem;
  font-weight: 600; }
.note { color: #555; font-size: .9rem; }
nav ol { columns: 3 15rem; padding-left: 1.4rem; margin: .3rem 0; font-size: .92rem; }
a { color: #005a91; }
.wide { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; white-space: nowrap; font-weight: 600; padding: .2rem 0 .35rem; }
th, td { padding: .26rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ececec; }
th { color: #444; font-weight: 600; border-bottom: 2px solid #cfcfcf; vertical-align: bottom; }
td.n, th.n { text-align: right; }
td.n { white-space: nowrap; }
figure { margin: .8rem 0 1.2rem; }
img { max-width: 100%; height: auto; display: block; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: #005a91; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; }
@media (max-width: 600px) { body { font-size: 15px; padding: .6rem .7rem 3rem; }
  th, td { padding: .25rem .45rem; } }
@media print { body { max-width: none; font-size: 11px; } nav { display: none; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } .wide { overflow: visible; } }
"""


def write_report(folder: Path, contents: ReportContents) -> None:
    """Write report.html, and beside it figures/NAME.png and trades/STRATEGY.csv."""
    parts = sections(contents)
    pictures = [part for section in parts for part in section.parts if isinstance(part, Picture)]
    for file, picture in zip(file_names(pictures), pictures, strict=True):
        with atomic_file(folder / "figures" / file) as temporary:
            temporary.write_bytes(picture.png)
    for number, (name, strategy) in enumerate(contents.strategies.items(), 1):
        with atomic_file(folder / "trades" / f"{number:02d}_{slug(name)}.csv") as temporary:
            strategy.backtest.trades.to_csv(temporary, index=False, lineterminator="\n")
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(_html(contents, parts), encoding="utf-8", newline="\n")


def file_names(pictures: Sequence[Picture]) -> list[str]:
    """Return the pictures' file names: numbered in the order of the page, hence never equal."""
    return [f"{number:02d}_{slug(item.name)}.png" for number, item in enumerate(pictures, 1)]


def slug(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._") or "unnamed"


def _html(contents: ReportContents, parts: Sequence[Section]) -> str:
    experiment = contents.experiment
    lead, *rest = parts
    links = "".join(
        f'<li><a href="#part-{number}">{escape(section.title)}</a></li>'
        for number, section in enumerate(rest, 1)
    )
    body = "\n".join(
        f'<section id="part-{number}">\n<h2>{escape(section.title)}</h2>\n'
        + "\n".join(_pieces(section))
        + "\n</section>"
        for number, section in enumerate(rest, 1)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(experiment.name)} · rnntrade</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(lead.title)}</h1>
<p class="sub">{escape(experiment.description)}</p>
{chr(10).join(_pieces(lead))}
<nav><h3>Contents</h3><ol>{links}</ol></nav>
{body}
</body>
</html>
"""


def _pieces(section: Section) -> Iterator[str]:
    for part in section.parts:
        if isinstance(part, str):
            yield part
        else:
            data = base64.b64encode(part.png).decode("ascii")
            alt = escape(part.finding, quote=True)
            yield f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"></figure>'
