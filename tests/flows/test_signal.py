"""An evening's decision: said once, kept for good, explained when the world changes behind it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows import evening as stories
from flows.run import run
from flows.scheduled import reconcile, signal
from rnntrade.config import find_experiment, override
from rnntrade.data.synthetic import generate
from rnntrade.errors import ConfigError, RnntradeError
from rnntrade.production import journal
from tasks import clock
from tasks.refs import read_manifest
from tasks.tracking import champions
from tests.homes import lean

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

TICKERS = ("AAA", "BBB")


def write_prices(folder: Path, until: str, revised: dict[str, float] | None = None) -> None:
    """Made-up bars as a user's own files; `revised` multiplies the close of a session."""
    folder.mkdir(exist_ok=True)
    config = find_experiment("debug").data
    for ticker in TICKERS:
        bars = generate(ticker, date(2018, 1, 1), date(2022, 1, 1), config).loc["2018":until]
        bars = bars.drop(columns="raw_close")
        for day, factor in (revised or {}).items():
            if ticker == "AAA":
                bars.loc[day, ["open", "high", "low", "close"]] *= factor
        bars.to_csv(folder / f"{ticker}.csv")


def evening(monkeypatch, day: str, time: str = "23:00") -> None:
    """Let it be that evening, in UTC."""
    then = datetime.fromisoformat(f"{day}T{time}:00+00:00")
    monkeypatch.setattr(clock, "now", lambda: then.astimezone(UTC))


@pytest.fixture(scope="module")
def traded(prefect_server, tmp_path_factory):
    """A home whose champion was judged on 260 sessions until 2021-11-30; its backtest's folder."""
    home = tmp_path_factory.mktemp("signal") / "home"
    folder = home.with_name("prices")
    write_prices(folder, "2021-11-30")
    debug = find_experiment("debug")
    models = tuple(each for each in debug.models if each.name != "regime_lstm_h1")
    with pytest.MonkeyPatch.context() as patch, lean():
        patch.setenv("RNNTRADE_HOME", str(home))
        experiment = override(
            replace(debug, models=models),
            {
                "data.source": "files",
                "data.folder": str(folder),
                "data.start": "2018-01-01",
                "split.kind": "latest",
                "split.test_sessions": "260",
                "trading.dead_band": "0",
                "trading.sizing": "confidence",
                "trading.regime_filter": "half",
                "members": "2",
                "audit.replayed": "2",
            },
        )
        summary = run(experiment)
        for model in ("attention_bilstm", "regime_lstm", "seq2seq_lstm"):
            task = next(each.task for each in experiment.models if each.name == model)
            version = champions.find_version(task, summary.versions[model])
            champions.promote(version, "for the tests")
        digest = champions.holder("direction").tags["desk"]
        refs = read_manifest(home / "artifacts" / "runs" / f"{summary.mlflow_run}.json")
        books = [ref.folder for ref in refs if ref.step == "backtests"]
        assert len(books) == 2
        yield folder, books[1], digest


@pytest.fixture
def followed(traded, monkeypatch, tmp_path):
    """That home, with a journal of the test's own, and its files as they were."""
    folder, book, _ = traded
    monkeypatch.setenv("RNNTRADE_HOME", str(folder.with_name("home")))
    monkeypatch.setattr("tasks.production.signals.journal_folder", lambda: tmp_path / "journal")
    write_prices(folder, "2021-11-30")
    return folder, book


def test_a_signal_as_of_a_session_is_the_backtests_row_of_it(followed, tmp_path):
    _, book = followed
    target = pd.read_parquet(book / "target.parquet")
    probability = pd.read_parquet(book / "probability.parquet")
    for day in target.index[[3, 128, 255]]:
        (said,) = signal(day.date())
        for each in said.signal["tickers"]:
            expected = target.loc[day, each["ticker"]]
            assert each["target"] == (None if np.isnan(expected) else expected)
            known = probability.loc[day, each["ticker"]]
            assert each["probability"] == (None if np.isnan(known) else known)
        assert set(said.signal["versions"]) == {"direction", "regime", "forecast"}
        assert not said.added
    assert journal.read(tmp_path / "journal").empty


def test_tonights_decision_is_written_down_once_and_reconciles(followed, monkeypatch, tmp_path):
    evening(monkeypatch, "2021-11-30")
    (said,) = signal()
    assert (said.signal["as_of"], said.late, said.added) == ("2021-11-30", False, True)
    assert said.signal["abstain"] == []
    (again,) = signal()
    assert (again.signal, again.added) == (said.signal, False)
    kept = journal.read(tmp_path / "journal")
    assert kept["ticker"].to_list() == list(TICKERS)
    assert kept["emitted_at"].to_list() == ["2021-11-30T23:00:00.000000Z"] * 2
    found = reconcile()
    assert (found.decisions, found.same, found.rows) == (2, 2, [])


def test_without_a_flow_the_evening_says_the_same(followed, monkeypatch):
    evening(monkeypatch, "2021-11-30")
    (said,) = signal()
    (plain,) = stories.signal()
    assert (plain.signal, plain.lines, plain.added) == (said.signal, said.lines, False)
    assert stories.reconcile() == reconcile()


def test_the_versions_are_those_that_mlflow_lists(followed, monkeypatch):
    read = champions.versions()
    monkeypatch.setattr(champions, "_database", lambda: None)  # as on a server
    listed = champions.versions()
    assert read == listed
    assert {"champion", "challenger"} <= {alias for each in listed for alias in each.aliases}


def test_a_promotion_in_the_database_is_the_one_that_mlflow_makes(followed, monkeypatch):
    before = champions.holder("direction")
    rival = next(v for v in champions.versions("direction") if v.number != before.number)
    ends = []
    try:
        for registry in (champions._database(), champions._database(), None):  # all tags are there
            monkeypatch.setattr(champions, "_database", lambda registry=registry: registry)
            champions.promote(rival, "better", {"sessions": 126})
            ends.append(champions.versions())
            champions.promote(before, "back again")
            ends.append(champions.versions())
    finally:
        monkeypatch.undo()
    assert ends[2:4] == ends[4:]
    assert ends[2] != ends[3]


def test_a_signal_before_the_close_speaks_of_the_session_before(followed, monkeypatch):
    """New York closes at 21:00 UTC in winter and at 20:00 in summer; the bar settles later."""
    folder, _ = followed
    write_prices(folder, "2021-12-31")
    for day, time, newest in (
        ("2021-11-05", "20:10", "2021-11-04"),  # daylight saving: over at 20:00, not settled yet
        ("2021-11-05", "20:20", "2021-11-05"),
        ("2021-11-08", "20:20", "2021-11-05"),  # from Sunday on it is over an hour later
        ("2021-11-08", "21:20", "2021-11-08"),
        ("2021-11-26", "18:20", "2021-11-26"),  # the day after Thanksgiving it closes at 13:00
        ("2021-11-28", "12:00", "2021-11-26"),  # Sunday
    ):
        evening(monkeypatch, day, time)
        said = signal()[-1]
        assert said.signal["as_of"] == newest, (day, time)
        assert said.signal["abstain"] == [], (day, time)


def test_sessions_missed_in_an_outage_are_caught_up_and_told_as_late(followed, monkeypatch):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    signal()
    write_prices(folder, "2021-12-03")
    evening(monkeypatch, "2021-12-03")
    said = signal()
    assert [each.signal["as_of"] for each in said] == ["2021-12-01", "2021-12-02", "2021-12-03"]
    assert [each.late for each in said] == [True, True, False]
    assert all(each.added for each in said)
    assert reconcile().same == 8


def test_stale_prices_are_told_and_not_followed(followed, monkeypatch):
    evening(monkeypatch, "2021-12-06")
    (said,) = signal()
    assert said.signal["as_of"] == "2021-11-30"
    assert said.signal["abstain"][0].startswith("stale: 2021-11-30 is not the newest session")
    assert all("abstain" in line for line in said.lines)


def test_a_revised_history_is_explained_by_its_ticker(followed, monkeypatch, tmp_path):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    signal()
    write_prices(folder, "2021-11-30", revised={"2021-11-24": 1.03})
    found = reconcile()
    assert (found.decisions, found.same) == (2, 1)
    (row,) = found.rows
    assert row["ticker"] == "AAA"
    assert row["because"] == "data: bars of AAA up to this session were revised"
    evening(monkeypatch, "2021-11-30", "23:30")
    (said,) = signal()  # what is said now is something else, and is written down beside
    assert said.added
    assert len(journal.read(tmp_path / "journal")) == 4
    assert reconcile().same == 1  # what counts is what was said first


def test_another_champion_and_other_code_are_reasons_too(followed, monkeypatch):
    evening(monkeypatch, "2021-11-30")
    signal()
    before = champions.holder("direction")
    rival = next(v for v in champions.versions("direction") if v.number != before.number)
    champions.promote(rival, "for this test")
    try:
        reasons = {row["because"] for row in reconcile().rows}
        assert reasons == {f"model: {before.name} then, {rival.name} now"}
        monkeypatch.setattr("tasks.production.signals.source_digest", lambda module: "another")
        reasons = {row["because"] for row in reconcile().rows}
        assert reasons == {
            f"model: {before.name} then, {rival.name} now; code: another version of rnntrade"
        }
    finally:
        champions.rollback("direction")


class Stopping:
    """MLflow's client until its n-th change, before which the process is gone."""

    def __init__(self, known, changes: int) -> None:
        self.known, self.left = known, changes

    def __getattr__(self, name: str):
        asked = getattr(self.known, name)
        if not name.startswith("set_"):
            return asked

        def change(*arguments, **named):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return asked(*arguments, **named)

        return change


def test_a_promotion_cut_short_anywhere_is_finished_by_the_next(followed, monkeypatch):
    before = champions.holder("direction")
    rival = next(v for v in champions.versions("direction") if v.number != before.number)
    ends = []
    for changes in range(9):
        stopping = Stopping(champions.client(), changes)
        with monkeypatch.context() as patch:
            patch.setattr(champions, "client", lambda s=stopping: s)
            patch.setattr(champions, "_database", lambda: None)  # as on a server
            try:
                champions.promote(rival, "better", {"difference": 0.1, "sessions": 126.0})
                ends.append("whole")
            except KeyboardInterrupt:
                ends.append("cut short")
        held = champions.holder("direction")
        assert held.number in {rival.number, before.number}  # never nobody, never a third
        if held.number == rival.number:  # who is followed says why
            assert held.tags["decision.reason"] == "better"
        champions.promote(rival, "better", {"difference": 0.1, "sessions": 126.0})
        assert champions.holder("direction").number == rival.number
        assert champions.holder("direction", "previous").number == before.number
        champions.promote(before, "back again")
        assert champions.holder("direction").number == before.number
    assert ends == ["cut short"] * 6 + ["whole"] * 3  # four tags, two aliases


def test_an_unknown_ticker_and_a_day_without_bars_are_told(followed, monkeypatch):
    evening(monkeypatch, "2021-11-30")
    (said,) = signal(tickers=["MSFT"])
    (told,) = [each for each in said.signal["tickers"] if each["ticker"] == "MSFT"]
    assert told["abstain"][0].startswith("unknown ticker: the model decides on AAA, BBB")
    with pytest.raises(ConfigError, match="2021-11-28 is no session with bars; the one before"):
        signal(date(2021, 11, 28))


def test_without_a_champion_the_cure_is_told(prefect_server, tracked):
    with pytest.raises(RnntradeError, match=r"no champion for direction.*rnntrade retrain"):
        signal()


def test_a_signal_can_be_read_by_a_program(followed, monkeypatch):
    evening(monkeypatch, "2021-11-30")
    (said,) = signal()
    assert json.loads(said.model_dump_json())["signal"]["tickers"][0]["ticker"] == "AAA"


def test_a_ticker_whose_file_is_gone_abstains_and_the_others_are_decided_as_before(
    followed, monkeypatch
):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    (before,) = signal()
    (folder / "BBB.csv").unlink()
    (said,) = signal()
    assert said.signal["tickers"][0] == before.signal["tickers"][0]
    gone = said.signal["tickers"][1]
    assert gone["standing"] == before.signal["tickers"][1]["standing"]
    assert "no BBB.csv" in gone["abstain"][0]
    assert list(said.missing) == ["BBB"]
    found = reconcile()
    assert (found.decisions, found.same, list(found.missing)) == (2, 2, ["BBB"])


def test_an_unusable_newest_row_is_its_tickers_alone(followed, monkeypatch):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    (before,) = signal()
    evening(monkeypatch, "2021-12-01")
    write_prices(folder, "2021-12-01")
    bars = pd.read_csv(folder / "BBB.csv")
    bars.loc[len(bars) - 1, "high"] = 0.5 * bars["low"].iloc[-1]
    bars.to_csv(folder / "BBB.csv", index=False)
    (said,) = signal()
    assert said.signal["as_of"] == "2021-12-01"
    assert (said.signal["abstain"], said.signal["tickers"][0]["abstain"]) == ([], [])
    assert said.signal["tickers"][1]["standing"] == before.signal["tickers"][1]["standing"]
    assert "unusable prices" in said.signal["tickers"][1]["abstain"][0]


def test_a_ticker_that_ends_early_is_told_with_a_cure(followed, monkeypatch):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    (before,) = signal()
    bars = pd.read_csv(folder / "BBB.csv")
    bars.iloc[:-15].to_csv(folder / "BBB.csv", index=False)
    (said,) = signal()
    assert said.signal["tickers"][0] == before.signal["tickers"][0]
    assert "--tickers AAA" in said.signal["tickers"][1]["abstain"][0]
    assert said.missing == {}


def test_where_every_source_fails_the_first_cause_is_told(followed, monkeypatch):
    folder, _ = followed
    evening(monkeypatch, "2021-11-30")
    for ticker in TICKERS:
        (folder / f"{ticker}.csv").unlink()
    with pytest.raises(RnntradeError, match=r"no AAA\.csv"):
        signal()
