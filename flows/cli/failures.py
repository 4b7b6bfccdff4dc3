"""What goes wrong below a command, in one line: cause and cure, never a library's traceback."""

import errno
import os
import sqlite3
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

import click
import typer

from rnntrade.errors import ConfigError, RnntradeError
from tasks.home import tracking_uri
from tasks.tracking.silence import without_password

AGAIN = "run the same again: what is finished is not done twice"
CURES = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Make room there",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "Set compute.workers=1, or end other programs",
}


def debugging() -> bool:
    """Whether tracebacks are wanted: `rnntrade --debug`, or RNNTRADE_DEBUG."""
    return os.environ.get("RNNTRADE_DEBUG", "").lower() not in ("", "0", "false", "no")


@contextmanager
def plain_errors() -> Iterator[None]:
    """End a command that fails with one line on standard error and its exit code."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        typer.echo("Interrupted.  Run the same command to resume.", err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        if debugging():
            traceback.print_exception(error)
        typer.echo(f"error: {sentence(error)}", err=True)
        if is_silence(error):
            _drop_what_prefect_would_send()
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


def sentence(error: BaseException) -> str:
    """The error as one line: ours as it is, a library's with its cure, a defect with its log."""
    if isinstance(error, RnntradeError):
        return str(error)
    if is_silence(error):
        from tasks.setup.prefect_settings import ADDRESS, find_setting

        address, origin = find_setting(ADDRESS)
        return (
            f"the Prefect server at {without_password(address)} does not answer "
            f"({_first_line(error)}).  Start it, or correct {origin or ADDRESS}, and {AGAIN}."
        )
    for each in _chain(error):
        if plain := _library_error(each):
            return plain
    return f"internal error: {type(error).__name__}: {_first_line(error)}.  {_kept(error)}"


def _library_error(error: BaseException) -> str:
    """A line about an error of the system or a library; nothing for a defect of ours."""
    reason, library = _first_line(error), type(error).__module__.partition(".")[0]
    if isinstance(error, RnntradeError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory.  {CURES[errno.ENOMEM]}, and {AGAIN}."
    if isinstance(error, sqlite3.DatabaseError) or library == "sqlalchemy":
        cure = "Wait for the other process" if "locked" in reason else "Look at its file and disk"
        return f"a database failed ({reason}): that of {_mlflow()}?  {cure}, and {AGAIN}."
    if library == "mlflow":
        return (
            f"MLflow at {_mlflow()} refuses: {reason.rstrip('.')}.  Look there "
            f"(MLFLOW_TRACKING_URI names it; unset, mlflow.db does), and {AGAIN}."
        )
    if isinstance(error, OSError) and error.errno and error.filename:
        cure = CURES.get(error.errno, "See to it that it is there and can be read and written")
        return f"{error.filename}: {(error.strerror or reason).lower()}.  {cure}, and {AGAIN}."
    if library == "prefect":
        return f"Prefect: {reason.rstrip('.')}.  {_kept(error)}"
    return ""


def _mlflow() -> str:
    return without_password(tracking_uri())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it comes from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_password(lines[0])[:300] if lines else type(error).__name__


def _kept(error: BaseException) -> str:
    """Where the traceback is."""
    try:
        number, path = tempfile.mkstemp(prefix="rnntrade-", suffix=".log", text=True)
        with open(number, "w", encoding="utf-8", errors="replace") as log:
            log.writelines(traceback.format_exception(error))
    except OSError:
        return "`rnntrade --debug ...` shows its traceback."
    return f"Its traceback is in {path}; `rnntrade --debug ...` shows it."


def is_silence(error: BaseException) -> bool:
    """Whether no Prefect server answered, or only what stands before it or what broke in it.

    Prefect has no error of its own for its server's silence.
    """
    from httpx import HTTPStatusError, TransportError

    if isinstance(error, HTTPStatusError):
        return error.response.status_code >= 500
    if isinstance(error, RuntimeError):
        return str(error).startswith("Failed to reach API")
    return isinstance(error, TransportError)


def _drop_what_prefect_would_send() -> None:
    """Let the process end: Prefect would try for 7 seconds to send each of a hundred events.

    It has no public way to give up; what is read here is that of the pinned version.
    """
    from prefect.events.worker import EventsWorker

    worker: Any = EventsWorker
    for service in list(worker._instances.values()):  # of events and of logs
        with suppress(Empty):
            while True:
                service._queue.get_nowait()
