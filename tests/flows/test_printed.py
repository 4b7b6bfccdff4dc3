"""What the commands print: warnings word for word, figures each in a column of its own."""

import json
import sys
from datetime import date

import pytest
from rich.console import Console

from flows.cli import research, show
from rnntrade.config import DataConfig
from rnntrade.data import store
from rnntrade.production.health import Check
from tasks import clock
from tasks.production.monitoring import Monitored, markdown
from tasks.production.retraining import Retraining
from tasks.production.retraining import markdown as retrained
from tasks.production.signals import Said
from tasks.refs import Ref
from tasks.summary import Summary
from tasks.summary import markdown as summarised
from tests.conftest import made_up_bars

WARNINGS = [
    "AAA: the close moves by more than 40% on 2019-01-02, 2019-01-03, 2019-01-04, 2019-01-07.",
    "AAA: [adjusted close] is not used.",  # a word in brackets is no markup
]
CHECKS = [
    Check("hit rate", 0.4871, 0.01, "ok", "hit rate: 48.7 %", "of calls right", 0.0575),
    Check("freshness", 1990.0, 0.0, "warning", "freshness: late", "sessions"),
    Check("age", 2116.0, 378.0, "expired", "age: old", "sessions"),
]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(show, "console", lambda: Console(width=80))


def monitored() -> Monitored:
    return Monitored(
        task="direction", version="rnntrade-direction/1", as_of="2018-12-31", due="2026-11-25",
        status="expired", sentence="expired: age: old", figures={}, bars="0", newest=True,
        checks=[each.to_json() for each in CHECKS], pictures=Ref("health", "0"),
        warnings=WARNINGS,
    )  # fmt: skip


def summary() -> Summary:
    return Summary(
        experiment="debug", source="files", verdict="Evidence, resting on prices with warnings.",
        warnings=WARNINGS, audit="", outcome="evidence", models=[], strategies=[], comparisons=[],
        failures={}, figures={}, report="report.html", mlflow_run="", mlflow_experiment="0",
        prefect_run="",
    )  # fmt: skip


def said() -> Said:
    told = {
        "as_of": "2024-01-02", "experiment": "debug", "versions": {}, "age": 1, "expires": "",
        "verdict": "", "health": "", "abstain": [],
        "tickers": [{
            "ticker": "AAA", "probability": 0.5, "low": None, "high": None, "regime": "",
            "regime_ahead": "", "path": [], "standing": 0.0, "change": 0.0, "abstain": [],
        }],
    }  # fmt: skip
    return Said(signal=told, lines=[], late=False, added=True, warnings=WARNINGS)


@pytest.mark.parametrize("show", [
    lambda: show.show_run(summary()),
    lambda: show.show_looks([monitored()]),
    lambda: show.show_signals([said()]),
    lambda: show.show_stored("data", [
        {"ticker": "AAA", "fetched_at": "2024-01-02T12:00:00", "messages": WARNINGS}
    ]),
    lambda: sys.stdout.write(summarised(summary())),
    lambda: sys.stdout.write(markdown(monitored())),
    lambda: sys.stdout.write(retrained(Retraining(
        status="retrained", experiment="", until="", judged=[], mlflow_run="", warnings=WARNINGS
    ))),
])  # fmt: skip
def test_warnings_are_printed_word_for_word_and_once(show, capsys):
    show()
    printed = capsys.readouterr().out
    assert [printed.count(each) for each in WARNINGS] == [1, 1]


@pytest.mark.parametrize("value", [monitored(), summary(), said()])
def test_warnings_are_in_the_json(value):
    assert json.loads(value.model_dump_json())["warnings"] == WARNINGS


def test_every_figure_of_a_check_stands_in_a_column_of_its_own(capsys):
    show.show_looks([monitored()])
    printed = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed if "│" in line]
    assert rows == [
        ["hit rate", "0.487", "of calls right", "0.058", "p ≥ 0.01", "ok"],
        ["freshness", "1,990", "sessions", "—", "≤ 0", "warning"],
        ["age", "2,116", "sessions", "—", "≤ 378", "expired"],
    ]
    head = next(line for line in printed if "check" in line)
    assert [cell.strip() for cell in head.split("┃")[1:-1]] == [
        *("check", "value", "unit", "one-sided p", "limit", "status")
    ]
    assert max(map(len, printed[:9])) <= 80


def test_stored_prices_are_listed_with_the_sentences_of_their_warnings(
    home, tmp_path, capsys, monkeypatch
):
    sessions = store.expected_sessions("XNYS", date(2020, 1, 1), date(2021, 1, 1))
    bars = made_up_bars(sessions, seed=0).drop(columns="raw_close")
    bars.drop(bars.index[100]).to_csv(tmp_path / "AAA.csv")
    end = date(2021, 1, 1)
    config = DataConfig("files", ("AAA",), sessions[0].date(), end, folder=str(tmp_path))
    done = store.update(home / "data", config, "AAA", clock.now())
    research.data(name=None, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    told = [each.message for each in done.findings]
    assert (row["warnings"], row["messages"]) == (1, told)
    research.data(name=None)
    printed = capsys.readouterr().out
    assert told[0] in printed
    assert "2020-01-02" in printed
    assert max(len(line) for line in printed.splitlines() if "│" in line) <= 80
