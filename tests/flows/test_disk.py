"""A disk that is full, or may not be written to: one line with the cure, and nothing is lost."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.scheduled import signal
from tests.conftest import PATIENCE
from tests.flows.test_retrain import POOR, command, retrained, start, write_prices
from tests.homes import copy_home

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A small disk of its own, and how to mount it otherwise."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a disk of its own can be mounted by root alone")

    def mount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    write_prices(place / "prices")
    yield place / "home", mount
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def told(home: Path, *arguments: str) -> str:
    """The last line of a command that fails."""
    process = start(home, *arguments)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert out == ""
    assert "Traceback" not in err, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


def test_a_full_disk_is_told_and_once_there_is_room_the_run_goes_on(disk):
    home, mount = disk
    prices = home.with_name("prices")
    for size in ("1700k", "4m"):  # full with the first tables of MLflow; full with the artifacts
        mount(f"size={size}")
        line = told(home, *command(prices, POOR))
        assert "room" in line, size
        assert not list((home / "artifacts").rglob(".*.tmp")), size
    mount("size=400m")
    done = retrained(home, prices, POOR)
    assert done["status"] == "retrained"
    assert [each["promoted"] for each in done["judged"]] == [True]


def test_a_store_that_may_only_be_read_is_told_and_stays_as_it_is(disk, finished, monkeypatch):
    place, mount = disk
    home = copy_home(finished, place)
    mount("ro")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    retraining = ["retrain", "debug", "--set", "members=2"]
    for arguments in (retraining, ["signal"], ["promote", "direction", "1"]):
        assert "read-only" in told(home, *arguments), arguments
    mount("rw")
    assert {p: p.stat().st_mtime_ns for p in home.rglob("*") if p.is_file()} == before
    monkeypatch.setenv("RNNTRADE_HOME", str(home))
    assert signal()[-1].added
