"""The journal is only added to, and every difference to a fresh backtest has a reason."""

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from rnntrade.errors import DataError
from rnntrade.production import journal
from rnntrade.production.signal import Signal, TickerSignal

PRICES = {"A": "a1", "B": "b1"}


def signal(as_of: str = "2024-01-02", **changes: object) -> Signal:
    said = [
        TickerSignal("A", probability=0.6, target=0.5, standing=0.5, change=0.5, path=[0.01]),
        TickerSignal("B", probability=None, target=None, standing=-0.5, abstain=["not traded"]),
    ]
    about = {"versions": {"direction": "rnntrade-direction/1"}, "tickers": said, "abstain": []}
    return Signal(
        **{"as_of": as_of, "experiment": "e", "age": 1, "expires": "2025-01-02", "verdict": "none",
           "health": "no drift", **about, **changes}
    )  # fmt: skip


def rows(said: Signal, prices: dict[str, str] = PRICES, at: str = "2024-01-02T22:00:00Z"):
    return journal.as_rows(said, prices, code="code1", desk="desk1", emitted_at=at, late=False)


def test_what_was_said_is_read_back(tmp_path):
    assert journal.read(tmp_path).empty
    assert journal.add(tmp_path, rows(signal()))
    read = journal.read(tmp_path)
    assert list(read.columns) == list(journal.COLUMNS)
    assert read["ticker"].to_list() == ["A", "B"]
    assert read["target"].iloc[0] == 0.5
    assert pd.isna(read["target"].iloc[1])
    assert json.loads(read["abstain"].iloc[1]) == ["not traded"]
    assert read["prices"].to_list() == ["a1", "b1"]


def test_the_same_said_again_adds_nothing_and_something_else_adds_a_row(tmp_path):
    assert journal.add(tmp_path, rows(signal()))
    assert not journal.add(tmp_path, rows(signal(), at="2024-01-03T09:00:00Z"))
    assert len(journal.read(tmp_path)) == 2
    revised = {"A": "a2", "B": "b1"}
    assert journal.add(tmp_path, rows(signal(), revised, at="2024-01-04T22:00:00Z"))
    everything = journal.read(tmp_path)
    assert len(everything) == 4
    first = journal.first_said(everything)
    assert first["emitted_at"].to_list() == ["2024-01-02T22:00:00Z"] * 2


def test_nothing_is_ever_rewritten(tmp_path):
    journal.add(tmp_path, rows(signal()))
    (file,) = tmp_path.rglob("*.parquet")
    before = file.stat().st_mtime_ns, file.read_bytes()
    journal.add(tmp_path, rows(signal(), at="2024-02-02T22:00:00Z"))
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["2024-01-02"]  # no leftovers


def test_of_many_that_say_the_same_at_once_one_is_first(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: journal.add(tmp_path, rows(signal())), range(24)))
    assert sum(added) == 1
    assert len(journal.read(tmp_path)) == 2


def test_it_can_be_read_as_one_data_set(tmp_path):
    for day in ("2024-01-02", "2024-01-03"):
        journal.add(tmp_path, rows(signal(day)))
    assert len(pd.read_parquet(tmp_path, columns=["ticker", "target"])) == 4


def test_a_damaged_file_is_named(tmp_path):
    journal.add(tmp_path, rows(signal()))
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DataError, match=f"{file.name} is damaged"):
        journal.read(tmp_path)


NOW = {"task_version": "rnntrade-direction/1", "code": "code1", "desk": "desk1"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"prices": "a2"}, ""),  # revised, without any effect
        ({"target": 0.25, "prices": "a2"}, "data: bars of A up to this session were revised"),
        ({"target": 0.25, "code": "code2"}, "code: another version of rnntrade"),
        (
            {"probability": 0.4, "desk": "desk2", "task_version": "rnntrade-direction/2"},
            "model: rnntrade-direction/1 then, rnntrade-direction/2 now",
        ),
        (
            {"target": 0.25, "prices": "a2", "code": "code2"},
            "data: bars of A up to this session were revised; code: another version of rnntrade",
        ),
        ({"target": 0.25}, "nothing that was written down differs: a defect of rnntrade"),
    ],
)
def test_a_difference_is_explained(tmp_path, changes, reason):
    journal.add(tmp_path, rows(signal()))
    said = journal.first_said(journal.read(tmp_path))
    a = {"as_of": "2024-01-02", "ticker": "A", "probability": 0.6, "target": 0.5, "prices": "a1"}
    b = {"as_of": "2024-01-02", "ticker": "B", "probability": None, "target": None, "prices": "b1"}
    now = pd.DataFrame([{**a, **NOW, **changes}, {**b, **NOW}])
    compared = journal.compare(said, now).set_index("ticker")
    assert compared.loc["A", "reason"] == reason
    assert compared.loc["A", "same"] == (reason == "")
    assert compared.loc["B", "same"]  # missing then and now


def test_a_session_that_the_model_has_learned_from_since_is_told(tmp_path):
    journal.add(tmp_path, rows(signal()))
    said = journal.first_said(journal.read(tmp_path))
    compared = journal.compare(said, pd.DataFrame(columns=journal.COMPARED))
    assert set(compared["reason"]) == {
        "no backtest: the model has learned from this session, or does not know the ticker"
    }
