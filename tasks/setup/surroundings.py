"""What surrounds a run is checked before it begins: home, proxies, MLflow, servers, databases.

Whatever would stop the run later, or keep it waiting, is a RnntradeError here: within seconds, with
the setting's name, where it comes from, and the cure.
"""

import os
import re
import socket
import sqlite3
import time
from contextlib import closing, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass, urlopen

from rnntrade.errors import ConfigError, RnntradeError, ServerError
from rnntrade.storage import explained
from tasks import PROXIES
from tasks.home import DATABASES, database_file, home, tracking_uri
from tasks.tracking.silence import without_password

PATIENCE = 3.0  # seconds that a server may take to accept a connection
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
UNUSABLE = re.compile(r"[%?#\x00-\x1f\x7f]")  # in paths: SQLAlchemy's and MLflow's addresses break
VERSION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*\(?\s*['\"](\w+)['\"]", re.MULTILINE)


def check_records() -> None:
    """Check all but Prefect: enough for commands that run no flow."""
    check_home()
    check_proxies()
    check_mlflow()


def check_home() -> None:
    """Refuse a home whose path MLflow's database cannot have, or that cannot be written to."""
    check_path(home(), "RNNTRADE_HOME")
    with explained(home()):
        home().mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=home()):
            pass


def check_path(path: Path, name: str) -> None:
    """Refuse a path that MLflow or SQLAlchemy would read otherwise than it is written."""
    if found := UNUSABLE.search(str(path)):
        raise ConfigError(
            f"{name} = {str(path)!r} has a {found[0]!r} in it, which cannot be part of a "
            f"database's address.  Set {name} to a path without it."
        )


def check_mlflow() -> None:
    """Refuse addresses that MLflow cannot work with, servers that are down, unusable databases."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        if os.environ.get(name):
            _check_mlflow_uri(name, os.environ[name])
    file = database_file(tracking_uri())
    if file is not None:
        check_database(file, "mlflow", "mlflow.store.db_migrations", _cure_of_tracking())


def _cure_of_tracking() -> str:
    named = "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else "RNNTRADE_HOME"
    return f"Move the file away (a new one is made), or set {named} to another place"


def _check_mlflow_uri(name: str, uri: str) -> None:
    scheme = urlsplit(uri).scheme.partition("+")[0]
    shown = f"{name} = {without_password(uri)!r}"
    default = f"Unset it (runs are then kept in {home() / 'mlflow.db'})"
    if uri != uri.strip() or scheme not in ("http", "https", *DATABASES) or "://" not in uri:
        raise ConfigError(
            f"{shown} is neither a server (http://HOST:PORT) nor a database "
            f"(sqlite:////PATH, postgresql://...): rnntrade cannot record there.  {default}, or "
            "name one of these."
        )
    if scheme == "sqlite":
        file = database_file(uri)
        if file is None or not file.name or str(file) == ":memory:":
            raise ConfigError(f"{shown} names no file.  {default}, or name one: sqlite:////PATH.")
        check_path(file, name)
        return
    check_connection(uri, name, "It comes from the environment", default)
    if scheme in ("http", "https"):
        check_answer(f"{uri.rstrip('/')}/health", f"{shown} answers, but not as MLflow", default)


def check_connection(uri: str, name: str, origin: str, cure: str) -> None:
    """Refuse an address where nobody accepts a connection within PATIENCE; proxies are trusted."""
    try:
        parts = urlsplit(uri)
        scheme = parts.scheme.partition("+")[0]
        host, port = parts.hostname, parts.port or PORTS.get(scheme)
    except ValueError as error:
        raise ConfigError(f"{name} = {without_password(uri)!r}: {error}.  {origin}.") from error
    if not host or not port:
        raise ConfigError(
            f"{name} = {without_password(uri)!r} names no host.  {origin}.  Write http://HOST:PORT."
        )
    if scheme in getproxies() and not proxy_bypass(host):
        return
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except (OSError, UnicodeError) as error:  # a host name of more than 63 letters a part
        reason = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"nobody answers at {name} = {without_password(uri)} ({reason.lower()}).  {origin}.  "
            f"Start that server, or correct the address.  {cure}."
        ) from error


def check_answer(address: str, wrong: str, cure: str) -> None:
    """Refuse a server that is up but of another kind; whatever else it says is for its client."""
    kind = "text"
    try:
        with urlopen(address, timeout=PATIENCE) as answer:
            kind = answer.headers.get_content_type()
    except HTTPError as error:
        kind = "text/html" if error.code == 404 else kind
    except (URLError, OSError, ValueError):
        return
    if kind == "text/html" and "prefect.cloud" not in address:
        raise ConfigError(f"{wrong}.  {cure}, or correct the address.")


def check_database(file: Path, library: str, migrations: str, cure: str) -> None:
    """Refuse an SQLite file that is damaged, locked, another program's, or of another version.

    migrations  package below which the library keeps the versions of its tables
    """
    if not file.exists():
        return
    deadline = time.monotonic() + 2.0
    rows: list[tuple[str]] = []
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
            connection.execute("pragma query_only = on")
            tables = {name for (name,) in connection.execute("select name from sqlite_master")}
            if "alembic_version" in tables:
                rows = connection.execute("select version_num from alembic_version").fetchall()
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            with suppress(sqlite3.OperationalError):  # a large one is not read to its end
                (said,) = connection.execute("pragma quick_check(1)").fetchone()
                if said != "ok":
                    raise sqlite3.DatabaseError(said.splitlines()[-1])
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise RnntradeError(
                f"{file} is locked by another process.  Wait for its end, or end it."
            ) from error
        raise RnntradeError(f"{file} cannot be opened ({error}).  {cure}.") from error
    except sqlite3.DatabaseError as error:
        raise RnntradeError(f"{file} is damaged, or no database ({error}).  {cure}.") from error
    if tables and not rows:
        raise RnntradeError(f"{file} is a database, but not one of {library}.  {cure}.")
    _check_version(file, rows, library, migrations, cure)


def _check_version(
    file: Path, rows: list[tuple[str]], library: str, migrations: str, cure: str
) -> None:
    known, replaced = _versions(migrations)
    for (found,) in rows:
        if found not in known:
            raise RnntradeError(
                f"{file} was written by another version of {library}: {version(library)} does not "
                f"know its tables ({found}).  {cure}, or install the version that wrote it."
            )
        if library == "mlflow" and found in replaced:  # Prefect brings its own up to date
            raise RnntradeError(
                f"{file} was written by an older version of mlflow.  Copy it, then bring it up to "
                f"date: mlflow db upgrade sqlite:///{file}"
            )


def _versions(migrations: str) -> tuple[set[str], set[str]]:
    """Versions of a library's tables, read without importing them: all, and those replaced."""
    top, _, rest = migrations.partition(".")
    spec = find_spec(top)
    known: set[str] = set()
    replaced: set[str] = set()
    for place in (spec.submodule_search_locations or []) if spec else []:
        for script in Path(place, *rest.split(".")).rglob("versions/**/*.py"):
            for down, found in VERSION.findall(script.read_text(encoding="utf-8")):
                (replaced if down else known).add(found)
    return known, replaced


def check_proxies() -> None:
    """Refuse proxies that HTTP clients cannot read."""
    for name in sorted(os.environ):
        value = os.environ[name]
        if name.lower() in PROXIES and value and "://" in value:
            scheme = value.partition("://")[0].lower()
            if scheme not in ("http", "https"):
                raise ConfigError(
                    f"{name} = {without_password(value)!r}: there is no proxy of kind {scheme!r}.  "
                    f"Unset {name}, or write http://HOST:PORT."
                )
