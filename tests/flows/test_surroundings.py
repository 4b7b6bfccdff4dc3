"""Whatever surrounds a command: it works, or one line names the thing, its origin and the cure."""

import ast
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

import tasks
from flows.cli.failures import plain_errors, sentence
from rnntrade.config import find_experiment, override
from rnntrade.errors import ConfigError, RnntradeError, ServerError
from rnntrade.fingerprint import ROOT
from tasks.setup import prefect_settings, surroundings
from tasks.tracking import runs as tracking
from tests.conftest import free_port

NOBODY = "http://127.0.0.1:9"
RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))


@pytest.fixture
def alone(tmp_path, monkeypatch, home) -> Path:
    """A folder, a home and settings of Prefect's of its own; no server is named."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "new" / "prefect"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def database(file: Path, version: str, table: str = "experiments") -> Path:
    """A database with one table, and the version that a library wrote into it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"create table {table} (a)")
        connection.execute("create table alembic_version (version_num)")
        connection.execute("insert into alembic_version values (?)", (version,))
    return file


# proxies


def test_loopback_is_exempt_from_every_proxy_and_other_exemptions_stay():
    environment = {"HTTPS_PROXY": "http://proxy:1", "no_proxy": "example.org", "NO_PROXY": "a.b"}
    tasks.prepare(environment)
    for name in ("no_proxy", "NO_PROXY"):
        assert {"example.org", "a.b", "127.0.0.1", "localhost", "::1"} <= set(
            environment[name].split(",")
        )
    assert environment["HTTPS_PROXY"] == "http://proxy:1"


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "https_proxy"])
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9/"])
def test_a_socks_proxy_is_kept_for_the_vendor_alone(name, proxy):
    environment = {name: proxy}
    tasks.prepare(environment)
    assert name not in environment
    assert environment["RNNTRADE_SOCKS_PROXY"] == proxy


def test_without_a_proxy_nothing_is_exempt():
    environment: dict[str, str] = {}
    tasks.prepare(environment)
    assert "no_proxy" not in environment


def test_a_proxy_of_an_unheard_of_kind_is_refused(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "ftp://me:secret@proxy:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        surroundings.check_proxies()
    assert "secret" not in str(caught.value)


# Prefect


PLACES = {
    ".env": f"PREFECT_API_URL={NOBODY}/api",
    "prefect.toml": f'[api]\nurl = "{NOBODY}/api"',
    "pyproject.toml": f'[tool.prefect.api]\nurl = "{NOBODY}/api"',
}


@pytest.mark.parametrize("file", PLACES)
def test_an_address_where_nobody_answers_is_named_with_the_file_it_comes_from(alone, file):
    (alone / file).write_text(PLACES[file], encoding="utf-8")
    with pytest.raises(ServerError) as caught:
        prefect_settings.check_prefect()
    assert str(alone / file) in str(caught.value)
    assert NOBODY in str(caught.value)


def test_an_address_of_a_profile_is_named_with_the_profile(alone, monkeypatch):
    profiles = alone / "profiles.toml"
    text = f'active = "old"\n[profiles.old]\nPREFECT_API_URL = "{NOBODY}/api"'
    profiles.write_text(text, encoding="utf-8")
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(profiles))
    with pytest.raises(ServerError, match=r"profile 'old' of .*profiles\.toml"):
        prefect_settings.check_prefect()


def test_the_environment_comes_before_the_files(alone, monkeypatch):
    (alone / ".env").write_text(PLACES[".env"], encoding="utf-8")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:10/api")
    value, origin = prefect_settings.find_setting("PREFECT_API_URL")
    assert value == "http://127.0.0.1:10/api"
    assert "environment" in origin


@pytest.mark.parametrize("file", ["prefect.toml", "pyproject.toml"])
def test_a_file_that_is_not_toml_is_named(alone, file):
    (alone / file).write_text("[api", encoding="utf-8")
    with pytest.raises(ConfigError, match=file):
        prefect_settings.check_prefect()


def test_results_in_a_block_of_another_project_are_refused_or_forgotten(alone):
    environment = {"PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "s3-bucket/old"}
    tasks.prepare(environment)
    assert "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK" not in environment
    text = '[results]\ndefault_storage_block = "s3-bucket/old"'
    (alone / "prefect.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"s3-bucket/old.*prefect\.toml"):
        prefect_settings.check_settings()


def test_prefects_home_is_made_with_its_parents(alone):
    prefect_settings.check_prefect()
    assert Path(os.environ["PREFECT_HOME"]).is_dir()


@pytest.mark.parametrize(
    ("name", "path"),
    [("PREFECT_HOME", "a?b"), ("PREFECT_HOME", "a%41"), ("PREFECT_HOME", "a\nb")],
)
def test_a_path_that_no_address_can_hold_is_refused(alone, monkeypatch, name, path):
    monkeypatch.setenv(name, str(alone / path))
    with pytest.raises(ConfigError, match=name):
        prefect_settings.check_prefect()
    assert not (alone / path).exists()


def test_a_home_of_prefects_that_is_a_file_is_refused(alone, monkeypatch):
    (alone / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("PREFECT_HOME", str(alone / "file"))
    with pytest.raises(RnntradeError, match="PREFECT_HOME"):
        prefect_settings.check_prefect()


def test_prefects_database_of_another_version_is_refused(alone):
    file = database(Path(os.environ["PREFECT_HOME"]) / "prefect.db", "ffffffffffff", "flow_run")
    with pytest.raises(RnntradeError, match="ffffffffffff") as caught:
        prefect_settings.check_prefect()
    assert str(file) in str(caught.value)


def test_prefects_settings_cannot_be_read_is_one_line_with_their_origin(alone):
    """In a process of its own: Prefect reads its settings once."""
    done = subprocess.run(
        [RNNTRADE, "run", "debug"],
        env={**os.environ, "PREFECT_CLIENT_MAX_RETRIES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "PREFECT_CLIENT_MAX_RETRIES in the environment" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_temporary_server_that_dies_ends_in_its_last_words(alone, monkeypatch):
    from tasks.setup import temporary_server

    words = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    with (alone / "log").open("w+", encoding="utf-8") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
        with pytest.raises(ServerError, match="no such table"):
            temporary_server._await(server, f"http://127.0.0.1:{free_port()}/api", log)


# MLflow


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"])
@pytest.mark.parametrize(
    "uri",
    [
        *("./mlruns", "file:///tmp/x", "databricks", "databricks-uc", "databricks://me"),
        *("localhost:5000", "http:/x", "sqlite://", "sqlite:///:memory:", "azureml://x", "uc:x"),
        *(" http://127.0.0.1:5000", "http://", "http://host:port"),
    ],
)
def test_an_address_that_mlflow_cannot_be_kept_at_is_refused(alone, monkeypatch, name, uri):
    monkeypatch.setenv(name, uri)
    with pytest.raises(ConfigError, match=name):
        surroundings.check_mlflow()
    assert not list(alone.iterdir())


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "postgresql+psycopg2", "mysql"])
def test_a_server_where_nobody_answers_is_named_without_its_password(alone, monkeypatch, scheme):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:secret@127.0.0.1:9/x")
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9") as caught:
        surroundings.check_mlflow()
    assert "secret" not in str(caught.value)


def test_a_registry_that_is_down_is_found_before_anything_trains(alone, monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", NOBODY)
    with pytest.raises(ServerError, match="MLFLOW_REGISTRY_URI"):
        surroundings.check_mlflow()


@pytest.mark.parametrize(
    ("version", "words"),
    [("ffffffffffff", "another version"), ("451aebb31d03", "mlflow db upgrade")],
)
def test_a_database_of_another_version_of_mlflow_is_refused(alone, home, version, words):
    database(home / "mlflow.db", version)
    with pytest.raises(RnntradeError, match=words) as caught:
        surroundings.check_mlflow()
    assert str(home / "mlflow.db") in str(caught.value)


def test_a_file_that_is_no_database_of_mlflow_is_refused(alone, home):
    home.mkdir()
    file = home / "mlflow.db"
    file.write_text("hello " * 1000, encoding="utf-8")
    with pytest.raises(RnntradeError, match="damaged"):
        surroundings.check_mlflow()
    file.unlink()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table mine (a)")
    with pytest.raises(RnntradeError, match="not one of mlflow"):
        surroundings.check_mlflow()


def test_a_torn_database_is_refused(alone, home):
    file = database(home / "mlflow.db", "ffffffffffff")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany("insert into experiments values (?)", [("x" * 500,)] * 500)
    torn = bytearray(file.read_bytes())
    torn[20_000:60_000] = bytes(40_000)
    file.write_bytes(torn)
    with pytest.raises(RnntradeError, match="damaged"):
        surroundings.check_mlflow()


def test_a_database_that_another_process_locks_is_told(alone, home, monkeypatch):
    monkeypatch.setattr(surroundings, "PATIENCE", 0.1)
    file = database(home / "mlflow.db", "x")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(RnntradeError, match="locked"):
            surroundings.check_mlflow()


def test_a_fresh_database_is_of_this_version(alone, tracked):
    tracking.client()
    surroundings.check_records()


def test_an_experiment_that_was_deleted_is_restored(alone, tracked):
    first = tracking._experiment_id("debug", "")
    MlflowClient(tracking.tracking_uri()).delete_experiment(first)
    assert tracking._experiment_id("debug", "") == first
    found = MlflowClient(tracking.tracking_uri()).get_experiment(first)
    assert found.lifecycle_stage == "active"


# the home


@pytest.mark.parametrize("name", ["a%41", "a%20b", "a#b", "a?b", "a\nb"])
def test_a_home_that_no_address_can_hold_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / name))
    with pytest.raises(ConfigError, match="RNNTRADE_HOME"):
        surroundings.check_home()
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ['it\'s an "Übung" & a; $HOME', "~"])
def test_files_are_kept_in_a_home_of_any_other_name(alone, tmp_path, monkeypatch, name):
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / name))
    surroundings.check_records()
    known = tracking.client()
    run = known.create_run(tracking._experiment_id("debug", ""))
    known.log_text(run.info.run_id, "kept", "note.txt")
    assert tracking.read_text_artifact(run.info.run_id, "note.txt") == "kept"
    assert list((tmp_path / name / "mlartifacts").rglob("note.txt"))


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_moved_or_copied_home_is_whole_and_writes_nothing_into_the_old_place(
    alone, tmp_path, tracked, monkeypatch, move
):
    home = tracked
    known = tracking.client()
    run = known.create_run(tracking._experiment_id("debug", ""), tags=tracking._own_tags("gone"))
    known.log_text(run.info.run_id, "kept", "note.txt")
    tracking._connect.cache_clear()
    move(home, tmp_path / "moved")
    before = sorted(home.rglob("*"))
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "moved"))

    assert tracking.read_text_artifact(run.info.run_id, "note.txt") == "kept"
    new = tracking.client().create_run(tracking._experiment_id("debug", ""))
    tracking.client().log_text(new.info.run_id, "new", "note.txt")
    assert len(list((tmp_path / "moved" / "mlartifacts").rglob("note.txt"))) == 2
    assert sorted(home.rglob("*")) == before
    (tmp_path / "moved" / "artifacts" / "locks").mkdir(parents=True)
    assert tracking.sweep_orphans() == 1


# names


@pytest.mark.parametrize("name", ["", "x" * 300, "a/b", "..", "a.b", "con", "LPT1", "ü", "a b"])
def test_a_name_that_cannot_be_part_of_a_path_is_refused(name):
    with pytest.raises(ConfigError, match="name"):
        override(find_experiment("debug"), {"name": name})


@pytest.mark.parametrize("ticker", ["x" * 300, "A\nB", "A\x00"])
def test_a_ticker_that_cannot_be_part_of_a_path_is_refused(ticker):
    with pytest.raises(ConfigError, match=r"data\.tickers"):
        override(find_experiment("debug"), {"data.tickers": [ticker]})


# what is raised


def test_errors_of_libraries_are_one_line_and_a_defect_says_where_its_traceback_is(alone):
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    errors: list[Exception] = [
        OSError(28, "No space left on device", "/x"),
        OperationalError("select 1", {}, Exception("database is locked\nmore")),
        MlflowException("a\nb"),
        sqlite3.DatabaseError("malformed"),
        ValueError("a defect\nof ours"),
    ]
    lines = [sentence(error) for error in errors]
    assert all("\n" not in line for line in lines)
    assert [line.startswith("internal error") for line in lines] == [False] * 4 + [True]
    log = Path(lines[-1].partition("traceback is in ")[2].partition(";")[0])
    assert "a defect" in log.read_text(encoding="utf-8")
    log.unlink()


@pytest.mark.parametrize("wanted", ["", "1"])
def test_a_traceback_is_shown_when_asked_for_alone(alone, monkeypatch, capsys, wanted):
    monkeypatch.setenv("RNNTRADE_DEBUG", wanted)
    with pytest.raises(Exception) as caught, plain_errors():  # noqa: PT011 # click's Exit
        raise ConfigError("wrong")
    assert getattr(caught.value, "exit_code", None) == 2
    said = capsys.readouterr().err
    assert "error: wrong" in said
    assert ("Traceback" in said) == bool(wanted)


# the interpreter


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("form", "command"),
    [("{}.py", [RNNTRADE]), ("{}/__init__.py", [sys.executable, "-m", "rnntrade"])],
    ids=["files", "folders"],
)
def test_other_peoples_flows_and_tasks_are_not_ours(alone, tracked, form, command):
    for name in ("flows", "tasks"):
        file = alone / form.format(name)
        file.parent.mkdir(exist_ok=True)
        file.write_text("raise SystemExit('not ours')", encoding="utf-8")
    done = run(*command, "models", cwd=alone, PYTHONPATH=f"{alone}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr.decode()
    assert b"No version" in done.stdout


def test_child_processes_find_our_packages_first(alone):
    (alone / "tasks.py").write_text("raise SystemExit('not ours')", encoding="utf-8")
    code = (
        "import subprocess, sys, rnntrade.__main__ as m; m._prefer_own_packages();"
        "sys.exit(subprocess.run([sys.executable, '-c', 'import tasks.home']).returncode)"
    )
    places = f"{alone}{os.pathsep}{ROOT}"
    done = run(sys.executable, "-c", code, cwd=alone, PYTHONPATH=places)
    assert done.returncode == 0, done.stderr.decode()


UNREADABLE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}


@pytest.mark.parametrize(
    "environment",
    [
        UNREADABLE | {"PYTHONIOENCODING": "ascii", "HOME": ""},
        pytest.param(UNREADABLE, marks=pytest.mark.soak),
        pytest.param(
            UNREADABLE | {"LC_ALL": "xx_YY.nonsense", "LANG": "?"}, marks=pytest.mark.soak
        ),
        pytest.param({"PYTHONIOENCODING": "ascii", "HOME": ""}, marks=pytest.mark.soak),
    ],
    ids=["all at once", "ascii", "unheard of", "output"],
)
def test_a_locale_or_an_output_without_letters_stops_nothing(alone, tracked, environment):
    done = run(RNNTRADE, "promote", "direction", "≥3", cwd=alone, **environment)
    assert done.returncode == 2
    assert b"error: no version" in done.stderr
    assert b"Traceback" not in done.stderr


def test_every_text_file_is_read_and_written_with_its_encoding_named():
    unnamed = []
    for file in (
        each for part in ("rnntrade", "tasks", "flows") for each in (ROOT / part).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = any(keyword.arg == "encoding" for keyword in node.keywords)
                if node.func.attr in ("read_text", "write_text") and not named:
                    unnamed.append(f"{file}:{node.lineno}")
    assert not unnamed
