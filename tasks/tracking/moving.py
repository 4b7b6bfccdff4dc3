"""A home that was moved or copied: MLflow's records follow it, so nothing leads to the old place.

MLflow stores absolute places of files.  They are rewritten, once, when the database is opened.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import url2pathname

from tasks.home import home

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
FOLDER = "/mlartifacts/"


def follow_home(database: Path, owner: str) -> None:
    """Let an SQLite database's records lead to this home, where they led to one that it was.

    database  this home's own, or another: there only records of a home that is gone are rewritten
    owner     what runs of this home carry in their tag rnntrade.home
    """
    here, own = home().as_uri(), database.resolve() == home() / "mlflow.db"
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        found = connection.execute(
            "select distinct artifact_location from experiments where artifact_location like ?",
            (f"file:///%{FOLDER}%",),
        )
        for old in {location.rpartition(FOLDER)[0] for (location,) in found} - {here}:
            place = Path(url2pathname(old.removeprefix("file://")))
            if not own and place.exists():
                continue
            for table, column in PLACES:
                connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where substr({column}, 1, ?) = ?",
                    (here, len(old) + 1, len(old + FOLDER), old + FOLDER),
                )
            connection.execute(
                "update tags set value = ? where key = 'rnntrade.home' and value like ?",
                (owner, f"%:{place}"),
            )
