"""Commands that ask whether a result may be believed: audit, controls, reproduce, diagnose."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.failures import told_plainly
from flows.options import (
    Device,
    End,
    ExperimentName,
    Folder,
    Json,
    Set,
    Source,
    Start,
    Tickers,
    app,
    choose,
    console,
    prepare,
    table,
)


@app.command(
    "audit",
    epilog="Examples:\n\nrnntrade audit quick\n\n"
    "rnntrade audit walk_forward --source files --folder ~/prices --json",
)
def audit_command(
    experiment: ExperimentName = "quick",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Hunt leaks in every step of an experiment, with small networks; exit 1 if there is one."""
    with told_plainly():
        chosen = choose(experiment, source, tickers, start, end, folder, device, changes)
        prepare()
        from flows.audit import audit_experiment

        about = audit_experiment(chosen)
        if as_json:
            _json(about)
        else:
            _print_audit(about)
        if not about["clean"]:
            raise typer.Exit(1)


@app.command(
    "controls",
    epilog="Examples:\n\nrnntrade controls --fast\n\nrnntrade controls --page docs/controls.md",
)
def controls_command(
    fast: Annotated[
        bool, typer.Option("--fast", help="A small network: a minute instead of a quarter hour.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Markdown page to write the table into, between its marks.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Is the edge found where there is one, and none where there is none?  Exit 1 if not."""
    with told_plainly():
        prepare()
        from flows.controls import controls

        summary = controls(fast)
        if page:
            from rnntrade.controls.table import insert

            insert(page, summary.version, summary.table)
        if as_json:
            _json(summary.as_json())
        else:
            typer.echo(summary.table)
        if not summary.passed:
            raise typer.Exit(1)


@app.command(
    "reproduce",
    epilog="Examples:\n\nrnntrade reproduce 3f2a91c7\n\nrnntrade reproduce 3f2a91c7 --json",
)
def reproduce_command(
    run_id: Annotated[str, typer.Argument(help="Of a run in MLflow; its first 6 or more digits.")],
    keep: Annotated[bool, typer.Option("--keep", help="Keep what the second run made.")] = False,
    as_json: Json = False,
) -> None:
    """Make a recorded run again, and compare prices, features, weights and equity by digest."""
    with told_plainly():
        prepare()
        from flows.reproduce import reproduce

        result = reproduce(run_id, keep)
        if as_json:
            _json(result.model_dump())
        else:
            _print_reproduction(result)
        if not result.same:
            raise typer.Exit(1)


@app.command(
    "diagnose",
    epilog="Examples:\n\nrnntrade diagnose quick\n\nrnntrade diagnose walk_forward --groups 8",
)
def diagnose_command(
    experiment: ExperimentName = "quick",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    groups: Annotated[int, typer.Option(help="Parts that the sessions are cut into.")] = 6,
    test_groups: Annotated[int, typer.Option(help="Parts that are judged at a time.")] = 2,
    as_json: Json = False,
) -> None:
    """How far does choosing among the models that trade flatter?  By combinatorial purged CV."""
    with told_plainly():
        chosen = choose(experiment, source, tickers, start, end, folder, device, changes)
        prepare()
        from flows.diagnose import diagnose

        found = diagnose(chosen, groups, test_groups)
        if as_json:
            _json(found.model_dump())
        else:
            typer.echo(found.text)


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _print_reproduction(result: Any) -> None:
    """What differs, step by step, and why that may be."""
    screen = console()
    for row in result.rows:
        if not row.same:
            screen.print(f"[red]differs[/red]  {row.step}", highlight=False)
    for reason in result.explanation:
        screen.print(reason, highlight=False)
    same = "the same bytes" if result.same else "not the same"
    screen.print(f"{result.compared} digests compared: {same}.", highlight=False)


def _print_audit(about: dict[str, Any]) -> None:
    """Comparisons and findings by check, then the findings."""
    screen = console()
    rows = [
        {"check": name, "comparisons": f"{each['compared']:,}", "findings": str(each["findings"])}
        for name, each in about["checks"].items()
    ]
    screen.print(table("Leak audit", rows))
    for each in about["findings"]:
        when = f" on {each['session']}" if each["session"] else ""
        text = f"{each['stage']}: {each['series']}{when}: {each['kind']} ({each['detail']})"
        screen.print(f"[red]leak[/red]  {text}", highlight=False, soft_wrap=True)
    outcome = "No leak" if about["clean"] else f"{len(about['findings'])} findings"
    screen.print(f"{outcome} in {about['compared']:,} comparisons.", highlight=False)
