"""The gate: a run whose record does not follow from its prices is not believed."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pytest

from rnntrade.audit import causality, oracles
from rnntrade.audit.findings import Audited, AuditReport, Finding
from rnntrade.codec import save
from rnntrade.errors import LeakError
from tasks.audit import audit, require_clean
from tasks.refs import Ref, publish, put
from tests.audit.made_run import MadeRun, shared_run, tampered

DIRECTION = "many_to_one_lstm"


@pytest.fixture(scope="module")
def made(prices) -> Iterator[MadeRun]:
    home, run = shared_run(prices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNTRADE_HOME", str(home))
        nothing = Audited({"nothing": 1})  # these do not look at what a run recorded
        patch.setattr(causality, "audit_causality", lambda *_, **__: nothing)
        patch.setattr(oracles, "audit_engine", lambda *_, **__: nothing)
        yield run


def audited(made: MadeRun) -> Ref:
    return audit.fn(made.experiment, made.prices, made.features, made.labels, made.models)


def with_refs(made: MadeRun, name: str, **changes) -> MadeRun:
    refs = replace(made.models[name], **changes)
    return replace(made, models={**made.models, name: refs})


def test_a_clean_run_passes_and_says_how_much_was_compared(made):
    ref = audited(made)
    require_clean(ref)
    report = ref.load()
    assert report.merged.clean
    assert set(report.checks) == {
        *("files", "record", "replay", "served model", "oracle", "warm-up", "causality"),
    }
    assert all(each.compared > 0 for each in report.checks.values())
    assert report.checks["replay"].compared == 2 * 2 * made.experiment.audit.replayed
    stages = {"features", "samples", "scaler", "predictions", "baselines", "positions", "equity"}
    stages |= {"trades"}
    assert stages <= set(report.merged.comparisons)
    assert len(report.warm_up)
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
    models = {"regime_lstm": made.models["regime_lstm"]}
    report = audited(replace(made, models=models)).load()
    assert report.merged.clean
    assert report.checks["replay"].compared == 0


def noted(ref: Ref) -> Ref:
    """The same value, with one more file beside it."""
    with publish(ref.step) as out:
        save(ref.load(), out.folder)
        (out.folder / "note").write_text("mine")
    return replace(out.ref, kind=ref.kind)


def refused(made: MadeRun) -> tuple[Finding, ...]:
    ref = audited(made)
    with pytest.raises(LeakError, match="Do not believe this run") as caught:
        require_clean(ref)
    findings = ref.load().merged.findings
    assert findings[0].kind in str(caught.value)
    return findings


def test_a_tampered_prediction_is_named(made):
    def change(predictions):
        table = predictions.table
        row = table[(table["part"] == "test") & (table["ticker"] == "HALTED")].index[-10]
        table.loc[row, "p_up"] += 1e-9

    ref = tampered(made.models[DIRECTION].predictions, change)
    findings = refused(with_refs(made, DIRECTION, predictions=ref))
    assert findings[0].check == "record"
    assert findings[0].stage == "predictions"
    assert findings[0].series == "many_to_one_lstm, fold 1, HALTED p_up"


@pytest.mark.parametrize("source", ["majority", "gradient_boosting"])
def test_a_tampered_baseline_is_named(made, source):
    def change(table):
        mine = (table["source"] == source) & (table["fold"] == 1) & (table["ticker"] == "WHOLE")
        table.loc[table[mine].index[-10], "p_up"] += 1e-9

    ref = tampered(made.models[DIRECTION].baselines, change)
    (finding,) = refused(with_refs(made, DIRECTION, baselines=ref))
    assert (finding.check, finding.stage) == ("record", "baselines")
    assert finding.series == "many_to_one_lstm, fold 1, WHOLE p_up"


def test_a_baselines_file_changed_in_place_is_told(made):
    ref = noted(made.models[DIRECTION].baselines)
    (ref.folder / "note").write_text("yours")
    (finding,) = refused(with_refs(made, DIRECTION, baselines=ref))
    assert finding.kind == "files changed since they were written"
    assert finding.series == ref.digest[:16]


def test_a_position_a_day_off_is_named_by_record_and_replay(made):
    def change(books):
        books.target["HALTED"] = books.target["HALTED"].shift(1)

    ref = tampered(made.models[DIRECTION].books, change)
    findings = refused(with_refs(made, DIRECTION, books=ref))
    named = {(each.check, each.stage) for each in findings}
    assert {("record", "positions"), ("replay", "positions")} <= named


def test_a_tampered_feature_is_named_with_its_session(made):
    def change(table):
        table.loc[table.index[200], "rsi"] = 0.123

    ref = tampered(made.features["WHOLE"], change)
    findings = refused(replace(made, features={**made.features, "WHOLE": ref}))
    assert len(findings) == 1  # no model reads it: nothing else may be accused
    assert (findings[0].stage, findings[0].series) == ("features", "WHOLE, rsi")
    assert findings[0].session == "2018-10-08"


def test_a_file_changed_in_place_is_told(made):
    ref = noted(made.models["seq2seq_lstm"].predictions)
    (ref.folder / "note").write_text("yours")
    (finding,) = refused(with_refs(made, "seq2seq_lstm", predictions=ref))
    assert finding.kind == "files changed since they were written"


def test_many_findings_are_counted_in_the_error(home):
    finding = Finding("record", "features", "SPY rsi", "2020-01-02", "odd", "it moved")
    ref = put("audits", AuditReport({"record": Audited({}, (finding,) * 8)}, pd.DataFrame()))
    with pytest.raises(LeakError) as caught:
        require_clean(ref)
    words = str(caught.value)
    assert words.count("features: SPY rsi on 2020-01-02: odd (record: it moved)") == 5
    assert "8 numbers" in words
    assert "and 3 more" in words
