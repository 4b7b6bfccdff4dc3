"""Commands that put the flows on a schedule: deploy, serve-flows."""

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from flows.failures import told_plainly
from flows.options import NAMES, Set, app, choose, console, table
from rnntrade.config import Experiment

Deployed = Annotated[str, typer.Argument(help=f"One of: {NAMES}.", envvar="RNNTRADE_EXPERIMENT")]
Wait = Annotated[float, typer.Option(help="Seconds that the Prefect server may take to answer.")]


@app.command(
    "deploy",
    epilog="Examples:\n\nrnntrade deploy\n\n"
    "rnntrade deploy walk_forward --set data.tickers=SPY,QQQ --set data.start=2010-01-01",
)
def deploy_command(
    experiment: Deployed = "walk_forward",
    changes: Set = None,
    pool: Annotated[
        str | None, typer.Option(help="Work pool, if not prefect.yaml's; made if there is none.")
    ] = None,
    wait: Wait = 60.0,
) -> None:
    """Deploy run, signal, monitor and retrain with their schedules to the Prefect server."""
    with told_plainly():
        chosen = choose(experiment, None, None, None, None, None, None, changes)
        from tasks.setup.prefect_settings import check_settings
        from tasks.setup.surroundings import check_records

        check_records()
        check_settings()
        from flows.deployments import deploy, deployments_of, pools

        content = deployments_of(chosen, pool)
        address = deploy(content, wait)
        _print(chosen, content)
        typer.echo(f"Server  {address}")
        for name in pools(content):
            typer.echo(f"Worker  prefect worker start --pool {name}")


@app.command("serve-flows", epilog="Example:\n\nrnntrade serve-flows walk_forward")
def serve_flows_command(
    experiment: Deployed = "walk_forward", changes: Set = None, wait: Wait = 60.0
) -> None:
    """Deploy the same and run what is due from this process, until Ctrl-C: no pool, no worker."""
    with told_plainly():
        chosen = choose(experiment, None, None, None, None, None, None, changes)
        from tasks.setup.prefect_settings import check_settings
        from tasks.setup.surroundings import check_records

        check_records()
        check_settings()
        from prefect import serve

        from flows.deployments import await_server, deployments_of, served

        content = deployments_of(chosen)
        await_server(wait)
        _print(chosen, content)
        serve(*served(content), print_starting_message=False)


def _print(experiment: Experiment, content: dict[str, Any]) -> None:
    """Every deployment and when it acts next."""
    from flows.deployments import full_name
    from flows.schedule import next_time

    now = datetime.now(ZoneInfo("UTC"))
    rows = []
    for each in content["deployments"]:
        names = [schedule.get("slug", "") for schedule in each.get("schedules", [])]
        times = [next_time(name, experiment.data.calendar, now) for name in names]
        rows.append(
            {
                "deployment": full_name(each),
                "schedule": ", ".join(names) or "when asked",
                "next": ", ".join(f"{time:%a %Y-%m-%d %H:%M %Z}" for time in times if time),
                "what": each["description"],
            }
        )
    console().print(table(f"{experiment.name} on {experiment.data.calendar}", rows))
