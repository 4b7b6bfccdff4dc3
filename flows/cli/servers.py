"""Commands that serve until Ctrl-C, or put the flows on a schedule."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from flows.cli.app import command
from flows.cli.show import show_deployments
from flows.cli.start import prepare_logging
from rnntrade.config import Experiment
from rnntrade.errors import RnntradeError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
WAITING = 64  # connections at most; more are told 503
PATIENCE = 10  # seconds that an answer under way is waited for at the end
Wait = Annotated[float, typer.Option(help="Seconds to wait for the Prefect server's answer.")]


@command("ui", "rnntrade ui --mlflow-port 5001")
def ui(
    mlflow_port: Annotated[
        int, typer.Option(help="Port for the MLflow UI.", envvar="MLFLOW_PORT")
    ] = 5000,
    prefect_port: Annotated[
        int, typer.Option(help="Port for the Prefect UI.", envvar="PREFECT_SERVER_API_PORT")
    ] = 4200,
) -> None:
    """Run the MLflow and Prefect UIs on this machine until Ctrl-C."""
    from tasks.home import tracking_uri
    from tasks.setup.surroundings import check_records
    from tasks.tracking.runs import client

    check_records()
    client()  # makes the database if there is none
    scripts = os.path.dirname(sys.executable)
    commands = [
        ["mlflow", "ui", "--backend-store-uri", tracking_uri(), "--workers", "1"],
        ["prefect", "server", "start"],
    ]
    pages = f"http://127.0.0.1:{prefect_port}"
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # half the start, a quarter the memory
        "PREFECT_SERVER_UI_API_URL": f"{pages}/api",
    }
    typer.echo(
        f"MLflow   http://127.0.0.1:{mlflow_port}/#/experiments?workflowType=machine_learning\n"
        f"Prefect  {pages}\n"
        f"To send runs there:  export PREFECT_API_URL={pages}/api\n"
        "Ctrl-C stops both."
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers = [
        subprocess.Popen(
            [os.path.join(scripts, program), *arguments, "--port", str(port)],
            env=environment,
            start_new_session=True,  # Ctrl-C comes to us, and we stop them
        )
        for (program, *arguments), port in zip(commands, (mlflow_port, prefect_port), strict=True)
    ]
    try:
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
    finally:
        for server in servers:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
    raise RnntradeError(
        f"one of the servers stopped by itself: is port {mlflow_port} or {prefect_port} in "
        "use?  Choose others with --mlflow-port and --prefect-port."
    )


@command(
    "serve",
    "rnntrade serve --port 8000",
    "curl http://127.0.0.1:8000/health",
    "curl -H 'Content-Type: application/json' -d @bars.json http://127.0.0.1:8000/signal",
    'where bars.json is {"bars": [{"date": "2024-01-02", "ticker": "SPY", "close": 472.6}, ...]}',
)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the champion's signal over HTTP until Ctrl-C: bars in, decision out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        _serve(host, port)


@command(
    "deploy",
    "rnntrade deploy",
    "rnntrade deploy walk_forward --tickers SPY,QQQ --start 2010-01-01",
    experiment="walk_forward",
    envvar="RNNTRADE_EXPERIMENT",
)
def deploy(
    experiment: Experiment,
    pool: Annotated[
        str | None, typer.Option(help="Work pool, if not prefect.yaml's; made if there is none.")
    ] = None,
    wait: Wait = 60.0,
) -> None:
    """Deploy run, signal, monitor and retrain, with their schedules, to the Prefect server."""
    _check()
    from flows.deployments import deploy, deployments_of, pools

    content = deployments_of(experiment, pool)
    address = deploy(content, wait)
    show_deployments(experiment, content)
    typer.echo(f"Server  {address}")
    for name in pools(content):
        typer.echo(f"Worker  prefect worker start --pool {name}")


@command(
    "serve-flows",
    "rnntrade serve-flows walk_forward",
    experiment="walk_forward",
    envvar="RNNTRADE_EXPERIMENT",
)
def serve_flows(experiment: Experiment, wait: Wait = 60.0) -> None:
    """Deploy the same and run it in this process until Ctrl-C, without work pool or worker."""
    _check()
    from prefect import serve

    from flows.deployments import await_server, deployments_of, served

    content = deployments_of(experiment)
    await_server(wait)
    show_deployments(experiment, content)
    serve(*served(content), print_starting_message=False)


def _serve(host: str, port: int) -> None:
    from tasks.setup.surroundings import check_records

    check_records()
    prepare_logging()
    with _listening(host, port) as listener:
        from uvicorn import Config, Server

        from tasks.production.serving import Followed, make_app

        followed = Followed()
        if host not in LOOPBACK:
            typer.echo(
                f"warning: everybody who reaches {host} can ask; there is no authentication. "
                "Put a proxy with authentication and TLS in front.",
                err=True,
            )
        names = ", ".join(followed.names().values())
        address = f"[{host}]" if ":" in host else host
        line = f"Serving {names} on http://{address}:{port}; Ctrl-C ends it."
        config = Config(
            make_app(followed, on_ready=lambda: typer.echo(line, err=True)),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=WAITING,
            timeout_graceful_shutdown=PATIENCE,
        )
        Server(config).run(sockets=[listener])


def _check() -> None:
    from tasks.setup.prefect_settings import check_settings
    from tasks.setup.surroundings import check_records

    check_records()
    check_settings()


def _listening(host: str, port: int) -> socket.socket:
    """Take the port; RnntradeError when there is no such address, or it is in use."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        # with its protocol named: asyncio turns off Nagle's algorithm, 40 ms an answer, only then
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        return listener
    except OSError as error:
        raise RnntradeError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}.  "
            "Choose others: --host, --port."
        ) from error
