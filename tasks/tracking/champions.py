"""Who is followed: registered versions by alias, their desks, and the one place that moves aliases.

`champion` is followed, `challenger` is the newest rival, `previous` was champion before.  Reasons
are written as tags of the version before an alias moves; so a process killed in between leaves a
version that says why, and the next start finishes the move.  In an SQLite database both are one
transaction, by SQL: the import of MLflow's client takes longer than anything else here.
"""

import json
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from pydantic import BaseModel

from rnntrade.errors import ConfigError, RnntradeError
from rnntrade.fingerprint import folder_digest
from rnntrade.production.desk import Desk
from tasks.home import artifacts_folder, database_file, tracking_uri
from tasks.refs import Ref, publish
from tasks.tracking.runs import client, fluent_api
from tasks.tracking.silence import answered, without_password

log = logging.getLogger("prefect.rnntrade")

PREFIX = "rnntrade-"
PROMOTED = "promoted"  # outcome of a decision, in a version's tags
VERSIONS = """
    select name, version, run_id,
        (select json_group_array(alias) from registered_model_aliases as a
            where (a.workspace, a.name, a.version) = (v.workspace, v.name, v.version)),
        (select json_group_object(key, value) from model_version_tags as t
            where (t.workspace, t.name, t.version) = (v.workspace, v.name, v.version))
    from model_versions as v
    where name like ? and workspace = 'default' and current_stage != 'Deleted_Internal'
"""  # of MLflow's own tables
TAG = """
    insert or replace into model_version_tags (workspace, name, version, key, value)
    values ('default', ?, ?, ?, ?)
"""
ALIAS = """
    insert or replace into registered_model_aliases (workspace, name, version, alias)
    values ('default', ?, ?, ?)
"""


class Version(BaseModel):
    """One version of a registered model."""

    task: str
    number: str
    aliases: list[str]
    tags: dict[str, str]
    run_id: str

    @property
    def name(self) -> str:
        """As MLflow and messages call it: rnntrade-direction/3."""
        return f"{PREFIX}{self.task}/{self.number}"


def versions(task: str = "") -> list[Version]:
    """Return every version, of one task or of all, newest first."""
    file = _database()
    try:
        found = [] if file and not file.exists() else _read(file) if file else _listed()
    except sqlite3.Error:  # of a version whose tables are others
        found = _listed()
    chosen = [version for version in found if task in ("", version.task)]
    return sorted(chosen, key=lambda version: (version.task, -int(version.number)))


def _database() -> Path | None:
    """MLflow's own SQLite database, unless something else keeps the registry."""
    elsewhere = {"MLFLOW_REGISTRY_URI", "MLFLOW_WORKSPACE"} & set(os.environ)
    return None if elsewhere else database_file(tracking_uri())


def _listed() -> list[Version]:
    """Every version, as MLflow lists them."""
    server = client()
    return [
        Version(
            task=model.name.removeprefix(PREFIX),
            number=str(version.version),
            aliases=sorted(a for a, n in model.aliases.items() if str(n) == str(version.version)),
            tags=version.tags,
            run_id=version.run_id or "",
        )
        for model in server.search_registered_models()
        if model.name.startswith(PREFIX)
        for version in server.search_model_versions(f"name='{model.name}'")
    ]


def _read(file: Path) -> list[Version]:
    """The same from the tables of MLflow's database."""
    with closing(sqlite3.connect(file, timeout=20)) as database:
        rows = database.execute(VERSIONS, (f"{PREFIX}%",)).fetchall()
    return [
        Version(
            task=name.removeprefix(PREFIX),
            number=str(number),
            aliases=sorted(json.loads(aliases)),
            tags=json.loads(tags),
            run_id=run_id or "",
        )
        for name, number, run_id, aliases, tags in rows
    ]


def holder(task: str, alias: str = "champion") -> Version | None:
    """Return who carries the alias; None if nobody does."""
    for each in versions(task):
        if alias in each.aliases:
            return each
    return None


def require_champion(task: str) -> Version:
    """Return the champion; RnntradeError that says how to get one."""
    found = holder(task)
    if found is None:
        raise RnntradeError(
            f"there is no champion for {task} in {without_password(tracking_uri())}.  Make one: "
            f"rnntrade retrain, or name a version by hand: rnntrade promote {task} VERSION "
            "(rnntrade models lists them)."
        )
    return found


def find_version(task: str, number: str) -> Version:
    """Return the version of that number; ConfigError listing those that there are."""
    known = versions(task)
    for each in known:
        if each.number == number:
            return each
    there = ", ".join(each.number for each in known) or "none"
    raise ConfigError(f"no version {number!r} of {PREFIX}{task}; there are: {there}.")


def desk_of(version: Version) -> Desk:
    """Load a version's desk, from this home's artifacts or from the registry.

    What does not answer to the digest in the version's tags is told, and not loaded.
    """
    return desk_ref(version).load()


def desk_ref(version: Version) -> Ref[Desk]:
    """Return the desk's own reference, brought here from the registry where it is not intact."""
    digest = version.tags.get("desk", "")
    if not digest:
        raise RnntradeError(
            f"{version.name} was registered before versions carried their rules.  "
            "Run its experiment again: that registers one that does."
        )
    ref: Ref[Desk] = Ref("desks", digest, "rnntrade.production.desk:Desk")
    if ref.is_intact():
        return ref
    if ref.folder.exists():
        log.warning("%s: %s does not answer to its digest; restored", version.name, ref.folder)
    with TemporaryDirectory() as folder:
        place = _download(version, ref, folder)
        if folder_digest(place) != digest:
            raise RnntradeError(
                f"the files of {version.name} in {without_password(tracking_uri())} do not answer "
                f"to their digest {digest[:16]}: truncated, or exchanged.  They are not loaded.  "
                "Run the experiment again, or promote another version (rnntrade models)."
            )
        with publish("desks", Desk) as out:
            for file in (each for each in place.rglob("*") if each.is_file()):
                target = out.folder / file.relative_to(place)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    return out.ref


def _download(version: Version, desk: Ref[Desk], folder: str) -> Path:
    """Fetch the model's own files."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = f"models:/{PREFIX}{version.task}/{version.number}"
    try:
        with answered(tracking_uri()), fluent_api():  # `tracking_uri=` alone does not do:
            got = download_artifacts(uri, dst_path=folder)  # it asks another registry
    except (MlflowException, OSError) as error:
        raise RnntradeError(
            f"the files of {version.name} are gone from {without_password(tracking_uri())} "
            f"({str(error).splitlines()[0][:160]}).  Run its experiment again."
        ) from error
    return Path(got) / "artifacts" / desk.folder.name  # MLflow keeps the folder's own name


def promote(version: Version, reason: str, figures: dict[str, Any] | None = None) -> None:
    """Make a version the champion: reasons first, then the aliases.

    The champion before becomes `previous`.  Idempotent: what holds already is left as it is.
    """
    desk_of(version)  # nobody is followed whose files are not whole
    locks = artifacts_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / "aliases.guard"):
        before = holder(version.task)
        moved = before is not None and before.number != version.number
        aliases = {"previous": before.number} if before and moved else {}
        tags = _decision(PROMOTED, reason, figures)
        _write(version, tags, {**aliases, "champion": version.number})


def rollback(task: str) -> tuple[Version, Version]:
    """Change champion and `previous` over; return who was champion and who is now."""
    now = require_champion(task)
    before = holder(task, "previous")
    if before is None or before.number == now.number:
        raise RnntradeError(
            f"{now.name} has no predecessor to go back to.  Name a version by hand: "
            f"rnntrade promote {task} VERSION (rnntrade models lists them)."
        )
    note(now, "rolled back", f"{before.name} was taken back")
    promote(before, f"taken back after {now.name}")
    return now, before


def note(
    version: Version, outcome: str, reason: str, figures: dict[str, Any] | None = None
) -> None:
    """Write a decision about a version into its tags."""
    _write(version, _decision(outcome, reason, figures), {})


def _decision(outcome: str, reason: str, figures: dict[str, Any] | None) -> dict[str, str]:
    tags = {"decision": outcome, "decision.reason": reason[:5000]}
    return tags | {f"decision.{name}": f"{value}" for name, value in (figures or {}).items()}


def _write(version: Version, tags: dict[str, str], aliases: dict[str, str]) -> None:
    """Write a version's tags, then let aliases of its model lead to versions, by number."""
    model, file = f"{PREFIX}{version.task}", _database()
    if file is not None:
        try:
            with closing(sqlite3.connect(file, timeout=20)) as database, database:
                database.execute("pragma foreign_keys = on")
                own = [(model, int(version.number), *tag) for tag in tags.items()]
                database.executemany(TAG, own)
                moves = [(model, int(number), alias) for alias, number in aliases.items()]
                database.executemany(ALIAS, moves)
            return
        except sqlite3.Error as error:
            log.debug("MLflow's client writes it: %s", error)
    known = client()
    for name, value in tags.items():
        known.set_model_version_tag(model, version.number, name, value)
    for alias, number in aliases.items():
        known.set_registered_model_alias(model, alias, number)
