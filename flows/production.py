"""Commands of production: retrain, signal, monitor, reconcile, and who is followed."""

import json
import sys
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
    print_warnings,
    table,
)
from rnntrade.errors import ConfigError

Task = Annotated[str, typer.Argument(help="direction, regime or forecast.")]
AsOf = Annotated[str | None, typer.Option(help="A session, YYYY-MM-DD; else the newest.")]


@app.command(
    "retrain",
    epilog="Examples:\n\nrnntrade retrain quick\n\n"
    "rnntrade retrain walk_forward --set production.evaluation_sessions=63",
)
def retrain_command(
    experiment: ExperimentName = "walk_forward",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even when nothing is new since the last one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Learn from the newest prices; the champion gives way only to what is shown to be better."""
    with told_plainly():
        end: End = None  # there is none
        chosen = choose(experiment, source, tickers, start, end, folder, device, changes)
        prepare()
        from flows.retrain import retrain
        from tasks.production.retraining import markdown

        done = retrain(chosen, force)
        if as_json:
            _json(done.as_json())
        elif done.status == "nothing new":
            typer.echo(f"Nothing new since {done.at}: nothing was trained.")
        else:
            typer.echo(markdown(done))
        _end(done.missing)


@app.command(
    "signal",
    epilog="Examples:\n\nrnntrade signal\n\nrnntrade signal --as-of 2018-12-14 --json",
)
def signal_command(
    as_of: AsOf = None,
    tickers: Tickers = None,
    as_json: Json = False,
) -> None:
    """Say and write down the champion's decision after the newest close; or show an earlier one."""
    with told_plainly():
        day = _day(as_of)
        prepare()
        from flows.signal import signal

        asked = [each.strip() for each in tickers.split(",")] if tickers else []
        said = signal(day, asked)
        if as_json:
            _json([each.model_dump() for each in said] if len(said) > 1 else said[0].model_dump())
        else:
            for each in said:
                _print_signal(each)
        _end(said[-1].missing)


@app.command("reconcile", epilog="Example:\n\nrnntrade reconcile --json")
def reconcile_command(as_json: Json = False) -> None:
    """Hold every decision of the journal against a fresh backtest, and explain what differs."""
    with told_plainly():
        prepare()
        from flows.signal import reconcile

        found = reconcile()
        if as_json:
            _json(found.model_dump())
        else:
            screen = console()
            if found.rows:
                screen.print(table("Decisions that today's backtest does not repeat", found.rows))
            screen.print(found.sentence, highlight=False)
        _end(found.missing)


@app.command(
    "monitor", epilog="Examples:\n\nrnntrade monitor\n\nrnntrade monitor --as-of 2018-12-14 --json"
)
def monitor_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Look whether the champions still fit the world: inputs, hits, calibration, bars, age."""
    with told_plainly():
        day = _day(as_of)
        prepare()
        from flows.monitor import monitor

        looks = monitor(day)
        if as_json:
            _json([each.model_dump() for each in looks])
        else:
            for each in looks:
                _print_look(each)
        _end({ticker: why for each in looks for ticker, why in each.missing.items()})


@app.command(
    "backtest-policy",
    epilog="Examples:\n\nrnntrade backtest-policy quick\n\n"
    "rnntrade backtest-policy quick --policies never,every_63 --gate",
)
def policy_command(
    experiment: ExperimentName = "walk_forward",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    policies: Annotated[
        str, typer.Option(help="Of never, monthly, quarterly, on_drift, every_N (sessions).")
    ] = "never,monthly,quarterly,on_drift",
    gate: Annotated[
        bool, typer.Option("--gate", help="Only what would be promoted replaces the model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """When to retrain?  The schedule's own functions, lived through day by day, once a policy."""
    with told_plainly():
        chosen = choose(experiment, source, tickers, start, end, folder, device, changes)
        prepare()
        from flows.policy import backtest_policy

        found = backtest_policy(chosen, [each.strip() for each in policies.split(",")], gate)
        if as_json:
            _json([each.model_dump() for each in found])
        else:
            _print_policies(found)


@app.command("models", epilog="Examples:\n\nrnntrade models\n\nrnntrade models direction --json")
def models_command(
    task: Annotated[str, typer.Argument(help="Only of direction, regime or forecast.")] = "",
    as_json: Json = False,
) -> None:
    """Show the registered versions: who is followed, what they rest on, why they were chosen."""
    with told_plainly():
        from tasks.setup.surroundings import check_records
        from tasks.tracking.champions import versions

        check_records()
        known = versions(task)
        if as_json:
            _json([each.model_dump() for each in known])
        elif not known:
            typer.echo("No version is registered.  Try: rnntrade run quick")
        else:
            rows = [
                {
                    "version": each.name,
                    "alias": ", ".join(each.aliases),
                    "model": each.tags.get("model", ""),
                    "experiment": each.tags.get("experiment", ""),
                    "learned until": each.tags.get("trained_until", ""),
                    "verdict": each.tags.get("verdict", ""),
                    "decision": each.tags.get("decision", ""),
                    "because": each.tags.get("decision.reason", ""),
                }
                for each in known
            ]
            console().print(table("Registered versions", rows))


@app.command("promote", epilog="Example:\n\nrnntrade promote direction 3 --reason 'tried on paper'")
def promote_command(
    task: Task,
    number: Annotated[str, typer.Argument(help="Of the version, from rnntrade models.")],
    reason: Annotated[str, typer.Option(help="Kept with the version.")] = "by hand",
) -> None:
    """Let a version be followed, by your own decision; the champion before becomes `previous`."""
    with told_plainly():
        from tasks.setup.surroundings import check_records
        from tasks.tracking.champions import find_version, promote

        check_records()
        version = find_version(task, number)
        promote(version, f"by hand: {reason}" if reason != "by hand" else reason)
        typer.echo(f"{version.name} is the champion.")


@app.command("rollback", epilog="Example:\n\nrnntrade rollback direction")
def rollback_command(task: Task) -> None:
    """Take the champion before back."""
    with told_plainly():
        from tasks.setup.surroundings import check_records
        from tasks.tracking.champions import rollback

        check_records()
        was, now = rollback(task)
        typer.echo(f"{now.name} is the champion again; {was.name} is `previous`.")


def _end(missing: dict[str, str]) -> None:
    """Exit with 1 where the newest prices of a ticker could not be had, although the rest is done.

    missing  by ticker, why
    """
    for reason in missing.values():
        typer.echo(f"warning: {reason}", err=True)
    if missing:
        raise typer.Exit(1)


def _day(text: str | None) -> Any:
    """Read a date; ConfigError when it is none."""
    from datetime import date

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--as-of {text!r} is no date.  Write YYYY-MM-DD.") from error


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _print_policies(found: list[Any]) -> None:
    """One policy a row, beside the first."""
    from rnntrade.report.catalogue import figure, row

    rows = [
        row(
            policy=each.policy,
            retrained=each.retrainings,
            replaced=each.replaced,
            annual_return=each.annual_return,
            sharpe_ratio=each.sharpe,
            max_drawdown=each.max_drawdown,
            turnover=each.turnover,
            over_first=each.difference,
            interval=figure("over_first").between(each.interval),
        )
        for each in found
    ]
    console().print(table("Policies of retraining, after costs", rows))


def _print_signal(said: Any) -> None:
    """One session: a table by ticker, then what it rests on."""
    screen, told = console(), said.signal
    from rnntrade.report.catalogue import figure, row

    rows = [
        row(
            ticker=each["ticker"],
            p_up=each["probability"],
            rise_interval=figure("p_up").between((each["low"], each["high"])),
            regime=each["regime"] or None,
            regime_ahead=each["regime_ahead"] or None,
            path=" ".join(f"{100 * step:+.2f}" for step in each["path"]) or None,
            position=each["standing"],
            position_change=each["change"],
        )
        for each in told["tickers"]
    ]
    screen.print(table(f"After the close of {told['as_of']}", rows))
    for reason in told["abstain"]:
        screen.print(f"[red]abstain[/red]   {reason}", highlight=False)
    for each in told["tickers"]:
        for reason in each["abstain"]:
            screen.print(f"[red]abstain[/red]   {each['ticker']}: {reason}", highlight=False)
    versions = ", ".join(told["versions"].values())
    screen.print(f"[bold]models[/bold]    {versions} (of {told['experiment']})", highlight=False)
    aged = f"{told['age']} sessions since it last learned, to be followed until {told['expires']}"
    screen.print(f"[bold]age[/bold]       {aged}", highlight=False)
    screen.print(f"[bold]verdict[/bold]   {told['verdict']}", highlight=False)
    print_warnings(screen, said.warnings)
    screen.print(f"[bold]health[/bold]    {told['health']}", highlight=False)
    kept = "written down" if said.added else "not written down (again)"
    screen.print(f"[bold]journal[/bold]   {kept}{', late' if said.late else ''}", highlight=False)


def _print_look(found: Any) -> None:
    """One champion: a table of the checks, then what they come to."""
    screen, colours = console(), {"ok": "green", "unknown": "default", "warning": "yellow"}
    rows = [
        {**row, "status": f"[{colours.get(row['status'], 'red')}]{row['status']}[/]"}
        for row in found.rows()
    ]
    screen.print(f"\n[italic]{found.version} after the close of {found.as_of}[/italic]")
    screen.print(table("", rows))
    screen.print(found.sentence, highlight=False, markup=False)
    print_warnings(screen, found.warnings)
    if found.events:
        screen.print(f"[bold]emitted[/bold]   {', '.join(found.events)}", highlight=False)
    again = "" if found.new else " (recorded before)"
    screen.print(f"[bold]MLflow[/bold]    run {found.mlflow_run}{again}", highlight=False)
