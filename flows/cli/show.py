"""What commands print for people."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from rnntrade.config import Experiment

COLOURS = {"ok": "green", "unknown": "default", "warning": "yellow"}


def console() -> Console:
    """As wide as the terminal; into a file or a pipe, wide enough for whole names."""
    return Console(width=None if sys.stdout.isatty() else 140)


def table(title: str, rows: list[dict[str, str]]) -> Table:
    """Rows of text below their names."""
    columns = [Column(name, overflow="fold", no_wrap=not at) for at, name in enumerate(rows[0])]
    drawn = Table(*columns, title=title, title_justify="left")
    for row in rows:
        drawn.add_row(*row.values())
    return drawn


def show_facts(screen: Console, facts: Iterable[tuple[str, str]], colour: str = "bold") -> None:
    """A line for each word and text, word for word."""
    for word, text in facts:
        screen.print(f"[{colour}]{word:8}[/] {escape(text)}", highlight=False, soft_wrap=True)


def show_warnings(screen: Console, warnings: Iterable[str]) -> None:
    """A line for each warning about the prices, word for word."""
    show_facts(screen, [("warning", warning) for warning in warnings], "yellow")


def show_run(summary: Any) -> None:
    """Two tables, the verdict, and where to look."""
    screen = console()
    for title, rows in summary.tables().items():
        if rows:
            screen.print(table(title, rows))
    failures = [("failed", f"{name}: {reason}") for name, reason in summary.failures.items()]
    show_facts(screen, failures, "red")
    show_warnings(screen, summary.warnings)
    show_facts(screen, summary.places().items())


def show_stored(folder: str, stored: list[dict[Any, Any]]) -> None:
    """What is stored, then every warning about it."""
    if not stored:
        typer.echo("Nothing is stored yet.  Try: rnntrade data quick")
        return
    rows = [{str(k): str(v) for k, v in row.items() if k != "messages"} for row in stored]
    for row in rows:
        row["fetched_at"] = row["fetched_at"][:10]
    drawn = table(folder, rows)
    drawn.collapse_padding = True  # 80 columns are enough then
    screen = console()
    screen.print(drawn)
    show_warnings(screen, [message for row in stored for message in row["messages"]])


def show_audit(about: Mapping[str, Any]) -> None:
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
        show_facts(screen, [("leak", text)], "red")
    outcome = "No leak" if about["clean"] else f"{len(about['findings'])} findings"
    screen.print(f"{outcome} in {about['compared']:,} comparisons.", highlight=False)


def show_reproduction(result: Any) -> None:
    """What differs, step by step, and why that may be."""
    screen = console()
    show_facts(screen, [("differs", row.step) for row in result.rows if not row.same], "red")
    for reason in result.explanation:
        screen.print(reason, highlight=False, markup=False)
    same = "the same bytes" if result.same else "not the same"
    screen.print(f"{result.compared} digests compared: {same}.", highlight=False)


def show_signals(said: Iterable[Any]) -> None:
    """Each session: a table by ticker, then what it rests on."""
    from rnntrade.report.catalogue import figure, row

    screen = console()
    for decision in said:
        signal = decision.signal
        rows = [
            row(
                ticker=ticker["ticker"],
                p_up=ticker["probability"],
                rise_interval=figure("p_up").between((ticker["low"], ticker["high"])),
                regime=ticker["regime"] or None,
                regime_ahead=ticker["regime_ahead"] or None,
                path=" ".join(f"{100 * step:+.2f}" for step in ticker["path"]) or None,
                position=ticker["standing"],
                position_change=ticker["change"],
            )
            for ticker in signal["tickers"]
        ]
        screen.print(table(f"After the close of {signal['as_of']}", rows))
        reasons = list(signal["abstain"])
        for ticker in signal["tickers"]:
            reasons += [f"{ticker['ticker']}: {reason}" for reason in ticker["abstain"]]
        show_facts(screen, [("abstain", reason) for reason in reasons], "red")
        versions = ", ".join(signal["versions"].values())
        aged = f"{signal['age']} sessions since it last learned, valid until {signal['expires']}"
        kept = "written down" if decision.added else "not written down (again)"
        facts = {"models": f"{versions} (of {signal['experiment']})", "age": aged}
        show_facts(screen, {**facts, "verdict": signal["verdict"]}.items())
        show_warnings(screen, decision.warnings)
        journal = f"{kept}{', late' if decision.late else ''}"
        show_facts(screen, [("health", signal["health"]), ("journal", journal)])


def show_looks(looks: Iterable[Any]) -> None:
    """Each champion: a table of the checks, then what they come to."""
    screen = console()
    for look in looks:
        rows = [
            {**row, "status": f"[{COLOURS.get(row['status'], 'red')}]{row['status']}[/]"}
            for row in look.rows()
        ]
        screen.print(f"\n[italic]{look.version} after the close of {look.as_of}[/italic]")
        screen.print(table("", rows))
        screen.print(look.sentence, highlight=False, markup=False)
        show_warnings(screen, look.warnings)
        if look.events:
            show_facts(screen, [("emitted", ", ".join(look.events))])
        again = "" if look.new else " (recorded before)"
        show_facts(screen, [("MLflow", f"run {look.mlflow_run}{again}")])


def show_reconciled(found: Any) -> None:
    """The decisions that differ, and how many do not."""
    screen = console()
    if found.rows:
        screen.print(table("Decisions that today's backtest does not repeat", found.rows))
    screen.print(found.sentence, highlight=False)


def show_versions(versions: list[Any]) -> None:
    """Registered versions, newest first, and why they were chosen."""
    if not versions:
        typer.echo("No version is registered.  Try: rnntrade run quick")
        return
    tags = {
        "model": "model",
        "experiment": "experiment",
        "learned until": "trained_until",
        "verdict": "verdict",
        "decision": "decision",
        "because": "decision.reason",
    }
    rows = [
        {"version": version.name, "alias": ", ".join(version.aliases)}
        | {column: version.tags.get(tag, "") for column, tag in tags.items()}
        for version in versions
    ]
    console().print(table("Registered versions", rows))


def show_deployments(experiment: Experiment, content: dict[str, Any]) -> None:
    """Every deployment and when it acts next."""
    from datetime import UTC, datetime

    from flows.deployments import full_name
    from flows.schedule import next_time

    now, calendar, rows = datetime.now(UTC), experiment.data.calendar, []
    for deployment in content["deployments"]:
        names = [schedule.get("slug", "") for schedule in deployment.get("schedules", [])]
        times = [next_time(name, calendar, now) for name in names]
        rows.append(
            {
                "deployment": full_name(deployment),
                "schedule": ", ".join(names) or "when asked",
                "next": ", ".join(f"{time:%a %Y-%m-%d %H:%M %Z}" for time in times if time),
                "what": deployment["description"],
            }
        )
    console().print(table(f"{experiment.name} on {calendar}", rows))


def show_policies(rows: Iterable[Any]) -> None:
    """One policy a row, beside the first."""
    from rnntrade.report.catalogue import figure, row

    cells = [
        row(
            policy=policy.policy,
            retrained=policy.retrainings,
            replaced=policy.replaced,
            annual_return=policy.annual_return,
            sharpe_ratio=policy.sharpe,
            max_drawdown=policy.max_drawdown,
            turnover=policy.turnover,
            over_first=policy.difference,
            interval=figure("over_first").between(policy.interval),
        )
        for policy in rows
    ]
    console().print(table("Policies of retraining, after costs", cells))
