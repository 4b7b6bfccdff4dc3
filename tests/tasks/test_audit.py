"""The gate: a run whose record does not follow from its prices is not believed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pandas as pd
import pytest

from rnntrade.audit import causality, oracles
from rnntrade.audit.findings import Audited
from rnntrade.errors import LeakError
from tasks.artifacts import Ref, publish
from tasks.audit import AuditedLine, audit, to_audit
from tasks.audited import load_audit, require_clean
from tasks.report import ModelLine
from tests.audit.made_run import MadeRun, shared_run, tampered

DIRECTION = "many_to_one_lstm"


@pytest.fixture(scope="module")
def made(prices) -> Iterator[MadeRun]:
    home, run = shared_run(prices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNTRADE_HOME", str(home))
        nothing = Audited({"nothing": 1})  # it does not look at what a run recorded
        patch.setattr(causality, "audit_causality", lambda *_, **__: nothing)
        patch.setattr(oracles, "audit_engine", partial(oracles.audit_engine, sessions=60))
        yield run


def audited(made: MadeRun) -> Ref:
    return audit.fn(made.experiment, made.prices, made.features, made.labels, made.lines)


def with_line(made: MadeRun, name: str, **changes) -> MadeRun:
    line = made.lines[name].model_copy(update=changes)
    return replace(made, lines={**made.lines, name: line})


def test_a_clean_run_passes_and_says_how_much_was_compared(made):
    ref = audited(made)
    require_clean(ref)
    about = load_audit(ref)
    assert about["clean"]
    assert about["findings"] == []
    assert set(about["checks"]) == {
        *("files", "record", "replay", "served model", "oracle", "warm-up", "causality"),
    }
    assert all(each["compared"] > 0 for each in about["checks"].values())
    assert about["checks"]["replay"]["compared"] == 2 * 2 * made.experiment.audit.replayed
    stages = {"features", "samples", "scaler", "predictions", "baselines", "positions", "equity"}
    stages |= {"trades"}
    assert stages <= set(about["comparisons"])
    assert (ref.folder / "warmup.parquet").is_file()
    assert audited(made) == ref  # the same content, so the same name


def test_of_an_opened_holdout_the_causality_audit_sees_its_own_fold(made, monkeypatch):
    asked = []

    def looks(*_, test_from, **__):
        asked.append(test_from)
        return Audited({"nothing": 1})

    monkeypatch.setattr(causality, "audit_causality", looks)
    parts = (made.experiment, made.prices, made.features, made.labels, {})
    opened = "2019-06-03"
    audit.fn(*parts, test_from=opened)
    audit.fn(*parts)
    assert asked == [pd.Timestamp(opened), None]


def test_without_traded_models_there_is_no_replay(made):
    lines = {name: line for name, line in made.lines.items() if name == "regime_lstm"}
    about = load_audit(audited(replace(made, lines=lines)))
    assert about["clean"]
    assert about["checks"]["replay"]["compared"] == 0


def refused(made: MadeRun) -> list[dict[str, str]]:
    ref = audited(made)
    with pytest.raises(LeakError, match="Do not believe this run") as caught:
        require_clean(ref)
    findings = load_audit(ref)["findings"]
    assert findings[0]["kind"] in str(caught.value)
    return findings


def test_a_tampered_prediction_is_named(made):
    def change(table):
        row = table[(table["part"] == "test") & (table["ticker"] == "HALTED")].index[-10]
        table.loc[row, "p_up"] += 1e-9

    ref = tampered(made.lines[DIRECTION].predictions, "predictions.parquet", change)
    findings = refused(with_line(made, DIRECTION, predictions=ref))
    assert findings[0]["check"] == "record"
    assert findings[0]["stage"] == "predictions"
    assert findings[0]["series"] == "many_to_one_lstm, fold 1, HALTED p_up"


@pytest.mark.parametrize("source", ["majority", "gradient_boosting"])
def test_a_tampered_baseline_is_named(made, source):
    def change(table):
        mine = (table["source"] == source) & (table["fold"] == 1) & (table["ticker"] == "WHOLE")
        table.loc[table[mine].index[-10], "p_up"] += 1e-9

    ref = tampered(made.lines[DIRECTION].baselines, "predictions.parquet", change)
    (finding,) = refused(with_line(made, DIRECTION, baselines=ref))
    assert (finding["check"], finding["stage"]) == ("record", "baselines")
    assert finding["series"] == "many_to_one_lstm, fold 1, WHOLE p_up"


def test_a_baselines_file_changed_in_place_is_told(made):
    right = made.lines[DIRECTION].baselines
    with publish("baselines") as out:
        for file in right.folder.iterdir():
            (out.folder / file.name).write_bytes(file.read_bytes())
        (out.folder / "note").write_text("mine")
    (out.ref.folder / "note").write_text("yours")
    (finding,) = refused(with_line(made, DIRECTION, baselines=out.ref))
    assert finding["kind"] == "files changed since they were written"
    assert finding["series"] == out.ref.digest[:16]


def test_a_position_a_day_off_is_named_by_record_and_replay(made):
    def change(table):
        table["HALTED"] = table["HALTED"].shift(1)

    ref = tampered(made.lines[DIRECTION].backtest, "target.parquet", change)
    findings = refused(with_line(made, DIRECTION, backtest=ref))
    named = {(each["check"], each["stage"]) for each in findings}
    assert {("record", "positions"), ("replay", "positions")} <= named


def test_a_tampered_feature_is_named_with_its_session(made):
    def change(table):
        table.loc[table.index[200], "rsi"] = 0.123

    ref = tampered(made.features["WHOLE"], "features.parquet", change)
    findings = refused(replace(made, features={**made.features, "WHOLE": ref}))
    assert findings == [findings[0]]  # no model reads it: nothing else may be accused
    assert (findings[0]["stage"], findings[0]["series"]) == ("features", "WHOLE, rsi")
    assert findings[0]["session"] == "2018-10-08"


def test_a_file_changed_in_place_is_told(made):
    line = made.lines["seq2seq_lstm"]
    with publish("predictions") as out:
        for file in line.predictions.folder.iterdir():
            (out.folder / file.name).write_bytes(file.read_bytes())
        (out.folder / "note").write_text("mine")
    ref = out.ref
    (ref.folder / "note").write_text("yours")
    (finding,) = refused(with_line(made, "seq2seq_lstm", predictions=ref))
    assert finding["kind"] == "files changed since they were written"


def test_many_findings_are_counted_in_the_error(home):
    finding = {
        **{"check": "record", "stage": "features", "series": "SPY rsi", "session": "2020-01-02"},
        **{"kind": "odd", "detail": "it moved"},
    }
    with publish("audits") as out:
        about = {"clean": False, "findings": [finding] * 8}
        (out.folder / "audit.json").write_text(json.dumps(about))
    with pytest.raises(LeakError) as caught:
        require_clean(out.ref)
    words = str(caught.value)
    assert words.count("features: SPY rsi on 2020-01-02: odd (record: it moved)") == 5
    assert "8 numbers" in words
    assert "and 3 more" in words


def test_only_what_is_audited_is_in_the_key(made):
    line = made.lines[DIRECTION]
    whole = ModelLine(
        **line.model_dump(exclude={"model"}), model=line.model, evaluation=line.predictions
    )
    assert to_audit({DIRECTION: whole}) == {DIRECTION: line}
    assert isinstance(line, AuditedLine)
