"""compose.yaml, which no engine has run here: what can be known of it without one."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnntrade.fingerprint import ROOT
from tests.conftest import PATIENCE

FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BIN = Path(sys.executable).parent


def programs() -> list[list[str]]:
    """Every command of ours, as a list of words; a shell's commands one by one."""
    found = []
    for service in SERVICES.values():
        words = service.get("command", [])
        if words[:2] == ["sh", "-c"]:
            parts = [shlex.split(part) for part in words[2].split("&&")]
            found += [part[1:] if part[0] == "exec" else part for part in parts]
        elif words:
            found.append(words)
    return found


def test_what_a_service_waits_for_exists_and_can_tell_that_it_is_ready():
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wanted["condition"] == "service_healthy":
                assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert set(SERVICES["worker"]["depends_on"]) == {"prefect", "mlflow"}


def test_every_port_is_bound_to_this_machine_alone():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:4200:4200", "127.0.0.1:5000:5000"]


def test_every_volume_is_declared_and_every_mounted_file_exists():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_file() if "/" in source else source in COMPOSE["volumes"]


def test_every_image_is_pinned_and_ours_is_built_once():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert re.fullmatch(r"postgres:\d+-\w+", images.pop("postgres"))  # its data is of that version
    assert set(images.values()) == {f"rnntrade:{version}"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["prefect"]
    base = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base == ["python:3.11-slim-bookworm"]
    torch = re.search(r"torch==(\S+)", (ROOT / "Dockerfile").read_text())
    assert torch is not None
    assert torch[0] in (ROOT / "requirements.lock").read_text().split()


def test_every_service_comes_back_by_itself():
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}


def test_the_one_password_can_be_set_from_outside_and_is_everywhere_the_same():
    text = FILE.read_text()
    stated = re.findall(r"\$\{POSTGRES_PASSWORD:-([^}]*)\}", text)
    assert stated == ["only-for-this-machine"] * 3
    assert len(re.findall(r"rnntrade:[^@\s]*@postgres", text)) == 2
    assert not re.search(r"rnntrade:(?!\$\{POSTGRES_PASSWORD)[^@\s]*@", text)


def test_mlflow_lets_in_whom_the_worker_and_the_browser_ask_by():
    command = SERVICES["mlflow"]["command"]
    names = command[command.index("--allowed-hosts") + 1].split(",")
    worker = SERVICES["worker"]["environment"]["MLFLOW_TRACKING_URI"]
    assert worker.removeprefix("http://") in names
    assert "127.0.0.1:5000" in names
    assert "*" not in names


@pytest.mark.slow
def test_every_command_is_a_program_of_this_environment_with_these_options():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert [words[0] for words in programs()] == ["prefect", "mlflow", "rnntrade", "prefect"]
    for words in programs():
        assert words[0] in {"prefect", "mlflow", *ours}
        named = [word for word in words[1:] if not word.startswith("-")]
        depth = 1 if words[0] != "prefect" else 2
        asked = subprocess.run(
            [str(BIN / words[0]), *named[:depth], "--help"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert asked.returncode == 0, asked.stderr
        for option in [word for word in words if word.startswith("--")]:
            assert option in asked.stdout, (words, option)


def test_compose_itself_finds_no_fault_in_it():
    """`config` needs no engine."""
    plugin = ["docker", "compose"]
    if shutil.which("docker-compose"):
        compose = ["docker-compose"]
    elif (
        shutil.which("docker")
        and not subprocess.run([*plugin, "version"], capture_output=True).returncode
    ):
        compose = plugin
    else:
        pytest.skip("neither docker-compose nor docker's compose plugin is installed")
    checked = subprocess.run(
        [*compose, "--file", str(FILE), "config", "--quiet"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
