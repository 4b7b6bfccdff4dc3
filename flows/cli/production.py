"""Commands of production: retrain, signal, monitor, reconcile, and which version is followed."""

from typing import Annotated

import typer

from flows.cli import show
from flows.cli.app import Answer, AsOf, Task, command
from flows.cli.start import prepare, run_light, session
from rnntrade.config import Experiment

POLICIES = "never,monthly,quarterly,on_drift"


@command(
    "retrain",
    "rnntrade retrain quick",
    "rnntrade retrain walk_forward --set production.evaluation_sessions=63",
    experiment="walk_forward",
    without=("end",),
)
def retrain(
    experiment: Experiment,
    force: Annotated[
        bool, typer.Option("--force", help="Retrain even if nothing has changed.")
    ] = False,
) -> Answer:
    """Train on the newest prices, and promote the result only if it is proven better."""
    prepare()
    from flows.retrain import retrain
    from tasks.production.retraining import markdown

    done = retrain(experiment, force)
    text = f"Nothing new since {done.at}: nothing was trained."
    if done.status != "nothing new":
        text = markdown(done)
    return Answer(done, lambda: typer.echo(text), missing=done.missing)


@command("signal", "rnntrade signal", "rnntrade signal --as-of 2018-12-14 --json")
def signal(
    as_of: AsOf = None,
    tickers: Annotated[
        str | None, typer.Option(help="Comma-separated: shown beside the champion's own.")
    ] = None,
) -> Answer:
    """Record the champion's decision after the newest close, or show an earlier one."""
    asked = [each.strip() for each in tickers.split(",")] if tickers else []
    said = run_light("evening.signal", session(as_of), asked)
    value = said if len(said) > 1 else said[0]
    return Answer(value, lambda: show.show_signals(said), missing=said[-1].missing)


@command("reconcile", "rnntrade reconcile --json")
def reconcile() -> Answer:
    """Compare every recorded decision with a fresh backtest, and explain the differences."""
    found = run_light("evening.reconcile")
    return Answer(found, lambda: show.show_reconciled(found), missing=found.missing)


@command("monitor", "rnntrade monitor", "rnntrade monitor --as-of 2018-12-14 --json")
def monitor(as_of: AsOf = None) -> Answer:
    """Check the champions for drift of inputs, hit rate and calibration, for age and stale bars."""
    looks = run_light("evening.monitor", session(as_of))
    missing = {ticker: why for look in looks for ticker, why in look.missing.items()}
    return Answer(looks, lambda: show.show_looks(looks), missing=missing)


@command(
    "backtest-policy",
    "rnntrade backtest-policy quick",
    "rnntrade backtest-policy quick --policies never,every_63 --gate",
    experiment="walk_forward",
)
def backtest_policy(
    experiment: Experiment,
    policies: Annotated[
        str, typer.Option(help="Of never, monthly, quarterly, on_drift, every_N (sessions).")
    ] = POLICIES,
    gate: Annotated[
        bool, typer.Option("--gate", help="A new model must earn its promotion.")
    ] = False,
) -> Answer:
    """Simulate retraining policies day by day, with the functions that the schedule runs."""
    prepare(experiment)
    from flows.policy import backtest_policy

    rows = backtest_policy(experiment, [each.strip() for each in policies.split(",")], gate)
    return Answer(rows, lambda: show.show_policies(rows))


@command("models", "rnntrade models", "rnntrade models direction --json")
def models(
    task: Annotated[str, typer.Argument(help="Only of direction, regime or forecast.")] = "",
) -> Answer:
    """List the registered versions: aliases, verdicts, and the reason for each promotion."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import versions

    check_records()
    known = versions(task)
    return Answer(known, lambda: show.show_versions(known))


@command("promote", "rnntrade promote direction 3 --reason 'tried on paper'")
def promote(
    task: Task,
    number: Annotated[str, typer.Argument(help="Number of the version, from rnntrade models.")],
    reason: Annotated[str, typer.Option(help="Stored with the version.")] = "by hand",
) -> None:
    """Make a version the champion by hand; the current one becomes `previous`."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import find_version, promote

    check_records()
    version = find_version(task, number)
    promote(version, f"by hand: {reason}" if reason != "by hand" else reason)
    typer.echo(f"{version.name} is the champion.")


@command("rollback", "rnntrade rollback direction")
def rollback(task: Task) -> None:
    """Restore the previous champion."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import rollback

    check_records()
    was, now = rollback(task)
    typer.echo(f"{now.name} is the champion again; {was.name} is `previous`.")
