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
        bool, typer.Option("--force", help="Even when nothing is new since the last one.")
    ] = False,
) -> Answer:
    """Learn from the newest prices; the champion gives way only to what is shown to be better."""
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
    """Say and write down the champion's decision after the newest close; or show an earlier one."""
    asked = [each.strip() for each in tickers.split(",")] if tickers else []
    said = run_light("evening.signal", session(as_of), asked)
    value = said if len(said) > 1 else said[0]
    return Answer(value, lambda: show.show_signals(said), missing=said[-1].missing)


@command("reconcile", "rnntrade reconcile --json")
def reconcile() -> Answer:
    """Compare every decision of the journal with a fresh backtest, and explain what differs."""
    found = run_light("evening.reconcile")
    return Answer(found, lambda: show.show_reconciled(found), missing=found.missing)


@command("monitor", "rnntrade monitor", "rnntrade monitor --as-of 2018-12-14 --json")
def monitor(as_of: AsOf = None) -> Answer:
    """Check whether the champions still fit the world: inputs, hits, calibration, bars, age."""
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
        bool, typer.Option("--gate", help="Only what would be promoted replaces the model.")
    ] = False,
) -> Answer:
    """When to retrain?  The schedule's own functions, lived through day by day, once a policy."""
    prepare(experiment)
    from flows.policy import backtest_policy

    rows = backtest_policy(experiment, [each.strip() for each in policies.split(",")], gate)
    return Answer(rows, lambda: show.show_policies(rows))


@command("models", "rnntrade models", "rnntrade models direction --json")
def models(
    task: Annotated[str, typer.Argument(help="Only of direction, regime or forecast.")] = "",
) -> Answer:
    """List the registered versions: which is followed, what it rests on, why it was chosen."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import versions

    check_records()
    known = versions(task)
    return Answer(known, lambda: show.show_versions(known))


@command("promote", "rnntrade promote direction 3 --reason 'tried on paper'")
def promote(
    task: Task,
    number: Annotated[str, typer.Argument(help="Number of the version, from rnntrade models.")],
    reason: Annotated[str, typer.Option(help="Kept with the version.")] = "by hand",
) -> None:
    """Follow a version, by your own decision; the champion before becomes `previous`."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import find_version, promote

    check_records()
    version = find_version(task, number)
    promote(version, f"by hand: {reason}" if reason != "by hand" else reason)
    typer.echo(f"{version.name} is the champion.")


@command("rollback", "rnntrade rollback direction")
def rollback(task: Task) -> None:
    """Follow the champion before this one again."""
    from tasks.setup.surroundings import check_records
    from tasks.tracking.champions import rollback

    check_records()
    was, now = rollback(task)
    typer.echo(f"{now.name} is the champion again; {was.name} is `previous`.")
