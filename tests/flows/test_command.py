"""One set of options, examples in every help, and a start that imports nothing heavy."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.app import OPTIONS
from flows.cli.start import check_experiment
from rnntrade.config import find_experiment, override
from rnntrade.errors import ConfigError, DataError

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EXPERIMENT = {"run", "show", "data", "audit", "diagnose", "retrain", "backtest-policy", "deploy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_examples_and_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    printed = CliRunner().invoke(app, [name, "--help"]).stdout
    assert f"rnntrade {name}" in printed.partition("Example")[2]
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(EXPERIMENT | {"serve-flows"}))
def test_a_command_that_takes_an_experiment_has_all_its_options(name):
    has = {parameter.name for parameter in COMMANDS[name].params}
    assert set(OPTIONS) - has == ({"end"} if name == "retrain" else set())


def test_the_commands_are_known_without_prefect_mlflow_torch_or_pandas():
    code = (
        "import sys, flows.cli;"
        "print({'prefect', 'mlflow', 'torch', 'pandas', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_evening_and_a_list_of_versions_import_neither_prefect_nor_mlflow():
    code = (
        "import sys, flows.evening, tasks.setup.surroundings, tasks.tracking.champions as c;"
        "c.versions(); print({'prefect', 'mlflow', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "changes",
    [
        {"data.source": "files", "data.folder": "/nowhere"},
        {"data.source": "sample", "data.tickers": ["SPY"]},
        {"compute.device": "mps"},
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(home, changes):
    experiment = override(find_experiment("debug"), changes)
    with pytest.raises((DataError, ConfigError)):
        check_experiment(experiment)


def test_an_experiment_is_shown_as_a_file_to_start_from(tmp_path):
    done = CliRunner().invoke(app, ["show", "quick", "--set", "seed=3"])
    assert done.exit_code == 0, done.output
    file = tmp_path / "quick.toml"
    file.write_text(done.stdout, encoding="utf-8")
    assert find_experiment(str(file)) == override(find_experiment("quick"), {"seed": 3})


def test_the_version_is_the_packages():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout.split()) == (0, ["rnntrade", version("rnntrade")])
