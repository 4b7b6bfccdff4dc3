"""Prefect's settings, each with the place it comes from; its database, and the server it names.

What can be checked before Prefect is imported, which takes seconds, is checked before.
"""

import io
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rnntrade.errors import ConfigError
from rnntrade.storage import explained
from tasks import DEFAULTS
from tasks.home import database_file
from tasks.setup.surroundings import check_answer, check_connection, check_database, check_path
from tasks.tracking.silence import without_password

ADDRESS = "PREFECT_API_URL"
DATABASE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
STORAGE = ("PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK", "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK")

LINE = "PREFECT_LOGGING_FORMATTERS_STANDARD"
LINES = {  # of a log
    f"{LINE}_FORMAT": "%(asctime)s  %(message)s",
    f"{LINE}_FLOW_RUN_FMT": "%(asctime)s  %(flow_run_name)s  %(message)s",
    f"{LINE}_TASK_RUN_FMT": "%(asctime)s  %(task_run_name)s  %(message)s",
}
OURS = DEFAULTS | LINES


def check_prefect() -> None:
    """Refuse a server that is down, or a database that a temporary server could not use."""
    address, origin = find_setting(ADDRESS)
    if address:
        cure = "Without it, rnntrade starts a server of its own"
        check_connection(address, ADDRESS, f"It comes from {origin}", cure)
        wrong = f"{ADDRESS} = {address!r} answers, but not as Prefect: its address ends in /api"
        check_answer(f"{address.rstrip('/')}/health", f"{wrong}.  It comes from {origin}", cure)
    else:
        _check_prefect_home()
    check_settings()


def _check_prefect_home() -> None:
    named, _ = find_setting("PREFECT_HOME")
    place = Path(named or "~/.prefect").expanduser()
    check_path(place, "PREFECT_HOME")
    with explained(place, "PREFECT_HOME"):
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=place):
            pass
    uri, origin = find_setting(*DATABASE)
    file = database_file(re.sub(r"^sqlite\+\w+:", "sqlite:", uri)) if uri else place / "prefect.db"
    if file is not None:
        cure = "Move the file away (a new one is made), or set PREFECT_HOME to another folder"
        check_database(file, "prefect", "prefect.server.database._migrations", cure)
    elif uri.startswith("postgresql"):
        check_connection(uri, "Prefect's database", f"It comes from {origin}", "Or take it out")
    else:
        raise ConfigError(
            f"Prefect's database {without_password(uri)!r} is no address of one.  It comes from "
            f"{origin}.  Take it out there."
        )


def check_settings() -> None:
    """Refuse settings that Prefect, or rnntrade, cannot work with."""
    from pydantic import ValidationError

    block, origin = find_setting(*STORAGE)
    if block:
        raise ConfigError(
            f"Prefect is to keep results in the block {block!r}; rnntrade keeps its results in its "
            f"own folder.  It comes from {origin}.  Take it out there."
        )
    try:
        with redirect_stderr(io.StringIO()):  # it prints what it raises, too
            import prefect.settings  # it reads them
        prefect.flow  # noqa: B018 # its import sets logging up
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][-1]).upper().removeprefix("PREFECT_")
        raise ConfigError(
            f"Prefect refuses its setting {field.lower()} = {first['input']!r}: {first['msg']}.  "
            f"It comes from {_origins(field)}.  Correct it there, or take it out."
        ) from error
    except Exception as error:  # whatever its import raises, for instance about logging
        cause = error.__cause__ or error.__context__ or error
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise ConfigError(
            f"Prefect does not start with its settings ({reason}).  They come from "
            f"{_origins('')}.  Correct or unset them."
        ) from error


def find_setting(*names: str) -> tuple[str, str]:
    """A setting's value, and where it comes from; both empty where nobody has set it."""
    for name, value, place in _sources():
        if name in names and value:
            return value, f"{name} in {place}"
    return "", ""


def _origins(end: str) -> str:
    """Where the settings whose names end so come from."""
    found = [
        f"{name} in {place}"
        for name, value, place in _sources()
        if name.endswith(end) and value != OURS.get(name)
    ]
    return ", ".join(found) or "Prefect's own defaults"


def _sources() -> Iterator[tuple[str, str, str]]:
    """Every setting of Prefect's, its value and its place, in the order in which Prefect looks."""
    from dotenv import dotenv_values

    dotenv, here = Path(".env"), dict(os.environ)
    files: list[tuple[str, dict[str, Any]]] = [("the environment", here)]
    if dotenv.is_file():
        files.append((str(dotenv.resolve()), dict(dotenv_values(dotenv))))
    for place, values in files:
        for name, value in values.items():
            if name.upper().startswith("PREFECT_"):
                yield name.upper(), value or "", place
    for file, header in ((Path("prefect.toml"), ()), (Path("pyproject.toml"), ("tool", "prefect"))):
        table = _toml(file)
        for part in header:
            table = table.get(part, {})
        for path, value in _leaves(table):
            yield f"PREFECT_{'_'.join(path)}".upper(), str(value), str(file.resolve())
    folder = Path(here.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = Path(here.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    active = here.get("PREFECT_PROFILE") or _toml(profiles).get("active", "")
    for name, value in _toml(profiles).get("profiles", {}).get(active, {}).items():
        yield name.upper(), str(value), f"the profile {active!r} of {profiles}"


def _toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file; nothing where there is none."""
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file.resolve()}, where Prefect looks for settings, is not TOML ({error}).  "
            "Correct or move it, or start from another folder."
        ) from error


def _leaves(
    table: dict[str, Any], before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*before, name))
        else:
            yield (*before, name), value
