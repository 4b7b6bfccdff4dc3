"""A champion is watched: a calm market is no drift, a wild one is, and everything is said once."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.retrain import retrain
from flows.scheduled import monitor, signal
from rnntrade.config import DataConfig, find_experiment
from rnntrade.data.sessions import expected_sessions
from tasks.production.monitoring import EXPERIMENT, Monitored
from tasks.tracking.runs import client
from tests.conftest import PATIENCE, made_up_bars
from tests.homes import lean
from tests.tasks.receivers import web_receiver

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

CALM, WILD = date(2021, 12, 31), date(2022, 3, 31)  # last sessions of the two markets
MODELS = ("many_to_one_lstm", "seq2seq_lstm")
DEBUG = find_experiment("debug")


class Place(NamedTuple):
    """An installation with a champion, and its vendor's folder."""

    home: Path
    vendor: Path
    told: list[dict[str, Any]]  # what was posted to RNNTRADE_NOTIFY


def market(until: date, wildness: float = 1.0) -> pd.DataFrame:
    """Bars of a market that is always the same, and so many times wilder after CALM."""
    sessions = expected_sessions("XNYS", date(2018, 1, 1), WILD + pd.Timedelta(days=1))
    bars = made_up_bars(sessions, seed=5)
    moves = np.log(bars["close"]).diff().fillna(0.0)
    moves[moves.index > pd.Timestamp(CALM)] *= wildness
    scale = bars["close"].iloc[0] * np.exp(moves.cumsum()) / bars["close"]
    bars[["open", "high", "low", "close", "raw_close"]] *= scale.to_numpy()[:, None]
    return bars.loc[: pd.Timestamp(until)]


def send(vendor: Path, bars: pd.DataFrame) -> None:
    bars.to_csv(vendor / "AAA.csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory, prefect_server) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("monitor")
    (folder / "vendor").mkdir()
    send(folder / "vendor", market(CALM))
    experiment = replace(
        DEBUG,
        data=DataConfig(
            source="files",
            tickers=("AAA",),
            start=date(2018, 1, 1),
            folder=str(folder / "vendor"),
        ),
        models=tuple(each for each in DEBUG.models if each.name in MODELS),
        production=replace(DEBUG.production, expires_after=150),
    )
    with pytest.MonkeyPatch.context() as patch, web_receiver() as (address, told), lean():
        patch.setenv("RNNTRADE_HOME", str(folder / "home"))
        patch.setenv("RNNTRADE_NOTIFY", address)
        done = retrain(experiment)
        assert [each.promoted for each in done.judged] == [True, True]
        yield Place(folder / "home", folder / "vendor", told)


def looks() -> list[Any]:
    found = client().get_experiment_by_name(EXPERIMENT)
    return list(client().search_runs([found.experiment_id])) if found else []


def check(look: Monitored, name: str) -> dict[str, Any]:
    (found,) = (each for each in look.checks if each["name"] == name)
    return found


def ask(address: str, path: str, body: Any) -> Any:
    data = json.dumps(body).encode()
    request = Request(address + path, data, {"content-type": "application/json"})
    with urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def events(address: str, name: str, atleast: int) -> list[dict[str, Any]]:
    """Those the server has, once it has that many; they arrive a little later."""
    wanted = {"filter": {"event": {"name": [name]}}}
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ask(address, "/events/filter", wanted)["events"]
        if len(found) >= atleast or time.monotonic() > deadline:
            return list(found)
        time.sleep(0.5)


def test_a_first_champion_is_told(place):
    assert [each["subject"] for each in place.told[:2]] == [
        "rnntrade: rnntrade-direction/1 is the champion for direction",
        "rnntrade: rnntrade-forecast/1 is the champion for forecast",
    ]


def test_a_calm_market_is_no_drift_and_a_second_look_adds_nothing(place, prefect_server):
    before = len(place.told)
    direction, forecast = monitor(CALM)
    assert (direction.status, forecast.status) == ("ok", "ok")
    assert (direction.version, direction.as_of) == ("rnntrade-direction/1", str(CALM))
    assert check(direction, "freshness")["value"] == 0
    assert check(direction, "age")["value"] == 126
    assert {each["name"] for each in forecast.checks} >= {"forecast error", "input returns"}

    again = monitor(CALM)
    assert [each.new for each in again] == [False, False]
    assert [each.mlflow_run for each in again] == [direction.mlflow_run, forecast.mlflow_run]
    assert len(looks()) == 2
    assert place.told[before:] == []

    run = client().get_run(direction.mlflow_run)
    assert run.info.status == "FINISHED"
    assert run.data.tags["status"] == "ok"
    assert run.data.tags["sentence"] == direction.sentence
    assert run.data.metrics["psi.returns"] == check(direction, "input returns")["value"]
    calls = check(direction, "hit rate")
    assert run.data.metrics["p_value.hit_rate"] == calls["p_value"]
    assert run.data.metrics["hit_rate"] == calls["value"]
    assert calls["unit"] == "of calls right"
    assert run.data.metrics["freshness"] == 0.0
    kept = {each.path for each in client().list_artifacts(direction.mlflow_run)}
    assert {"health.json", "input_drift.png", "hit_rate.png"} <= kept

    page = ask(prefect_server, "/artifacts/latest/filter", {})
    (health,) = (each for each in page if each["key"] == "health-direction")
    assert "| ✓ | input returns |" in health["data"]
    assert health["data"].count("](data:image/png;base64,") == 3


def test_stale_bars_are_told_and_are_no_drift(place):
    late = monitor(date(2022, 1, 5))[0]  # three sessions later; the vendor has sent nothing
    assert (late.status, late.as_of, late.due) == ("warning", str(CALM), "2022-01-05")
    assert check(late, "freshness")["value"] == 3
    assert check(late, "age")["value"] == 126 + 3  # by the calendar
    assert "AAA ends on 2021-12-31, 3 sessions are missing up to 2022-01-05" in late.sentence
    assert (late.new, late.events) == (True, [])


def test_bars_that_a_vendor_revises_are_told_and_are_looked_at_again(place):
    assert check(monitor(CALM)[0], "revisions")["status"] == "unknown"  # nothing to compare with
    changed = market(CALM)
    changed.iloc[100:120, changed.columns.get_loc("high")] *= 1.01
    send(place.vendor, changed)
    look = monitor(CALM)[0]
    assert look.new
    told = check(look, "revisions")
    assert (look.status, told["status"], round(told["value"] * len(changed))) == (
        "warning",
        "warning",
        20,
    )
    assert client().get_run(look.mlflow_run).data.metrics["revised"] == 20.0


def test_a_wild_market_is_drift_with_an_event_and_a_message_once_and_not_in_looking_back(
    place, prefect_server
):
    send(place.vendor, market(WILD, wildness=4.0))
    before = len(place.told)
    done = CliRunner().invoke(app, ["monitor", "--as-of", str(WILD), "--json"])
    assert done.exit_code == 0, done.output
    direction = Monitored(**json.loads(done.stdout)[0])
    assert direction.status == "drifted"
    assert check(direction, "input returns")["status"] == "drifted"
    assert direction.events == ["rnntrade.drift", "rnntrade.expired"]

    (drift,) = (
        each
        for each in events(prefect_server, "rnntrade.drift", 1)
        if each["resource"]["prefect.resource.id"] == "rnntrade.champion.direction"
    )
    assert drift["payload"]["version"] == "rnntrade-direction/1"
    assert drift["payload"]["as_of"] == str(WILD)
    assert "input returns: stability index" in drift["payload"]["sentence"]
    old = events(prefect_server, "rnntrade.expired", 2)
    assert {each["resource"]["prefect.resource.id"] for each in old} == {
        "rnntrade.champion.direction",
        "rnntrade.champion.forecast",
    }
    subjects = [each["subject"] for each in place.told[before:]]
    assert subjects[:2] == [
        "rnntrade: the direction champion has drifted",
        "rnntrade: the direction champion has expired",
    ]

    recorded, told = len(looks()), len(place.told)
    again = monitor(WILD)
    assert [(each.new, each.events) for each in again] == [(False, [])] * 2
    assert (len(looks()), len(place.told)) == (recorded, told)

    back = monitor(date(2022, 3, 30))[0]
    assert (back.status, back.new, back.events) == ("drifted", True, [])
    assert len(place.told) == told


def test_the_signal_of_a_drifted_champion_is_told_as_abstaining_once(place):
    before = len(place.told)
    said = signal()
    assert said[-1].signal["as_of"] == str(WILD)
    (message,) = place.told[before:]
    assert message["subject"] == f"rnntrade: abstain after {WILD}"
    assert "- drift: " in message["body"]
    signal()
    assert len(place.told) == before + 1
