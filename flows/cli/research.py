"""Commands that ask a question of prices: run, data, audit, controls, reproduce, diagnose."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from flows.cli import show
from flows.cli.app import Answer, command
from flows.cli.start import prepare
from rnntrade.config import Experiment, as_toml
from rnntrade.errors import ConfigError


@command(
    "run",
    "rnntrade run quick",
    "rnntrade run notebook --source files --folder ~/prices",
    "rnntrade run mine.toml --set models.*.max_epochs=2 --json",
    "rnntrade run walk_forward --set split.sealed_sessions=252   (then, once: --open-holdout)",
    experiment="walk_forward",
)
def run(
    experiment: Experiment,
    open_holdout: Annotated[
        bool, typer.Option("--open-holdout", help="Judge on the sealed sessions; allowed once.")
    ] = False,
    spent: Annotated[
        bool, typer.Option("--spent", help="Open the holdout again; the run is marked as spent.")
    ] = False,
) -> Answer:
    """Run an experiment: download, train, backtest, audit, record, register, report."""
    if spent and not open_holdout:
        raise ConfigError("--spent opens nothing by itself.  Write --open-holdout --spent.")
    prepare(experiment)
    from flows.run import run

    summary = run(experiment, open_holdout, spent)
    return Answer(summary, lambda: show.show_run(summary), bool(summary.failures))


@command("show", "rnntrade show quick", "rnntrade show mine.toml", experiment="quick")
def show_experiment(experiment: Experiment) -> Answer:
    """Print an experiment with every default and its explanation, as a file to start from."""
    value = TypeAdapter(Experiment).dump_python(experiment, mode="json")
    return Answer(value, lambda: typer.echo(as_toml(experiment), nl=False))


@command(
    "data",
    "rnntrade data",
    "rnntrade data notebook --tickers SPY --end 2024-06-01",
    "rnntrade data debug --folder ~/prices --tickers BTC-USD --set data.calendar=24/7",
)
def data(experiment: Experiment | None) -> Answer:
    """Update an experiment's prices, and list what is stored."""
    from rnntrade.data.archive import catalogue, current, load
    from tasks.home import data_folder

    fresh: dict[tuple[str, str], list[str]] = {}
    if experiment:
        from flows.cli.start import run_light
        from tasks.data import shown_warnings

        for done in run_light("data.refresh_data", experiment.data):
            fresh[experiment.data.source, done.ticker] = shown_warnings(done.warnings)
    root = data_folder()
    stored = catalogue(root).to_dict("records")
    for row in stored:
        name = row["source"], row["ticker"]
        kept = load(current(root, *name)).provenance["warnings"]
        row["messages"] = fresh.get(name, list(dict.fromkeys(kept)))
        row["warnings"] = len(row["messages"])
    return Answer(stored, lambda: show.show_stored(str(root), stored))


@command(
    "audit",
    "rnntrade audit quick",
    "rnntrade audit walk_forward --source files --folder ~/prices --json",
    experiment="quick",
)
def audit(experiment: Experiment) -> Answer:
    """Hunt leaks in every step of an experiment, with small networks.  Exit code 1 on a leak."""
    prepare(experiment)
    from flows.audit import audit_experiment

    about = audit_experiment(experiment)
    return Answer(about, lambda: show.show_audit(about), not about["clean"])


@command("controls", "rnntrade controls --fast", "rnntrade controls --page docs/controls.md")
def controls(
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Use a small network: a minute instead of a quarter hour."),
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Markdown page to update with the table.")
    ] = None,
) -> Answer:
    """Test that a planted edge is found, and none in noise.  Exit code 1 if not."""
    prepare()
    from flows.controls import controls

    summary = controls(fast)
    if page:
        from rnntrade.controls.rules import insert

        insert(page, summary.version, summary.table)
    return Answer(summary, lambda: typer.echo(summary.table), not summary.passed)


@command("reproduce", "rnntrade reproduce 3f2a91c7", "rnntrade reproduce 3f2a91c7 --json")
def reproduce(
    run_id: Annotated[str, typer.Argument(help="MLflow run id, or its first 6 digits or more.")],
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files of the second run.")] = False,
) -> Answer:
    """Repeat a recorded run, and compare prices, features, weights and equity by digest."""
    prepare()
    from flows.reproduce import reproduce

    result = reproduce(run_id, keep)
    return Answer(result, lambda: show.show_reproduction(result), not result.same)


@command(
    "diagnose",
    "rnntrade diagnose quick",
    "rnntrade diagnose walk_forward --groups 8",
    experiment="quick",
)
def diagnose(
    experiment: Experiment,
    groups: Annotated[
        int, typer.Option(help="Number of groups that the sessions are split into.")
    ] = 6,
    test_groups: Annotated[int, typer.Option(help="Groups in each test set.")] = 2,
) -> Answer:
    """Measure how much choosing among models flatters, by combinatorial purged cross-validation."""
    prepare(experiment)
    from flows.diagnose import diagnose

    found = diagnose(experiment, groups, test_groups)
    return Answer(found, lambda: typer.echo(found.text))


@command("clean", "rnntrade clean", "rnntrade clean --yes")
def clean(yes: Annotated[bool, typer.Option("--yes", help="Delete them.")] = False) -> None:
    """List artifacts that no recorded run refers to; --yes deletes them (no run may be active)."""
    from tasks.cleaning import remove, unused
    from tasks.setup.surroundings import check_records
    from tasks.tracking.runs import nobody_runs

    check_records()
    with nobody_runs():
        found = unused()
        total = sum(size for _, size in found) / 1e6
        for path, size in found:
            typer.echo(f"{size / 1e6:10.2f} MB  {path}")
        if not found:
            typer.echo("Nothing to clean: every artifact belongs to a recorded run.")
        elif yes:
            remove(found)
            typer.echo(f"Removed {len(found)} folders, {total:.1f} MB.")
        else:
            typer.echo(f"{len(found)} folders, {total:.1f} MB.  Remove them with --yes.")
