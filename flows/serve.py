"""The command that answers over HTTP: `rnntrade serve`."""

import signal
import socket
import sys
from contextlib import suppress
from typing import Annotated

import typer

from flows.failures import told_plainly
from flows.options import app, prepare_logging
from rnntrade.errors import RnntradeError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_WAITING = 64  # connections; more are told 503
PATIENCE = 10  # seconds that an answer under way is waited for at the end


@app.command(
    "serve",
    epilog="Examples:\n\nrnntrade serve --port 8000\n\n"
    "curl http://127.0.0.1:8000/health\n\n"
    "curl -H 'Content-Type: application/json' -d @bars.json http://127.0.0.1:8000/signal\n\n"
    'where bars.json is {"bars": [{"date": "2024-01-02", "ticker": "SPY", "close": 472.6}, ...]}',
)
def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on; else only this machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """Answer over HTTP with the champion's signal for the bars that are sent, until Ctrl-C."""
    with told_plainly(), suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        from tasks.setup.surroundings import check_records

        check_records()
        prepare_logging()
        with _listening(host, port) as listener:
            from uvicorn import Config, Server

            from tasks.production.serving import Followed, make_app

            followed = Followed()
            told = f"[{host}]" if ":" in host else host
            if host not in LOOPBACK:
                typer.echo(
                    f"warning: everybody who reaches {host} can ask; there is no authentication. "
                    "Put a proxy with authentication and TLS in front.",
                    err=True,
                )
            names = ", ".join(followed.names().values())
            line = f"Serving {names} on http://{told}:{port}; Ctrl-C ends it."
            Server(
                Config(
                    make_app(followed, on_ready=lambda: typer.echo(line, err=True)),
                    log_config=None,
                    log_level="warning",
                    access_log=False,
                    server_header=False,
                    limit_concurrency=MOST_WAITING,
                    timeout_graceful_shutdown=PATIENCE,
                )
            ).run(sockets=[listener])


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
