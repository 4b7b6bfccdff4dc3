"""When a result is reused, and when it must not be."""

import shutil

import pandas as pd
import pytest
from prefect import flow

from rnntrade import fingerprint
from rnntrade.config import TrainingConfig
from tasks.artifacts import Ref, publish, refs_in
from tasks.caching import cached_task
from tasks.evaluation import evaluate, evaluate_trading
from tasks.features import compute_indicators
from tasks.prediction import fit_baselines, predict
from tasks.report import report
from tasks.samples import label_regimes, make_windows
from tasks.trading import backtest
from tasks.training import train_model

CALLS: list[str] = []


@cached_task(not_in_key=("label",))
def double(table: Ref, label: str, config: TrainingConfig) -> dict[str, Ref]:
    CALLS.append(label)
    with publish("doubled") as out:
        (pd.read_parquet(table.folder / "t.parquet") * 2).to_parquet(out.folder / "t.parquet")
    return {"doubled": out.ref}


@flow
def doubling(table: Ref, label: str = "", seed: float = 1e-3) -> dict[str, Ref]:
    return double(table, label, TrainingConfig(learning_rate=seed))


def stored(**columns: list[float]) -> Ref:
    with publish("tables") as out:
        pd.DataFrame(columns).to_parquet(out.folder / "t.parquet")
    return out.ref


@pytest.fixture(autouse=True)
def calls(prefect_server, home):
    CALLS.clear()
    return CALLS


def test_a_result_is_reused_until_its_content_config_or_code_changes(calls, monkeypatch):
    table = stored(a=[1.0, 2.0], b=[3.0, 4.0])
    first = doubling(table, "first")
    assert doubling(table, "same") == first
    assert doubling(stored(a=[1.0, 2.0], b=[3.0, 4.0]), "equal content") == first
    assert calls == ["first"]
    doubling(stored(b=[3.0, 4.0], a=[1.0, 2.0]), "columns in another order")
    doubling(table, "config", 2e-3)
    monkeypatch.setattr(double.cache_policy, "sources", ("edited",))
    doubling(table, "code")
    assert calls == ["first", "columns in another order", "config", "code"]


def test_a_missing_or_changed_file_is_told_and_made_anew(calls, caplog):
    table = stored(a=[5.0])
    made = doubling(table, "first")["doubled"]
    shutil.rmtree(made.folder)
    assert doubling(table, "missing")["doubled"].is_intact()
    with (made.folder / "t.parquet").open("ab") as file:
        file.write(b"!")
    assert doubling(table, "changed")["doubled"].is_intact()
    assert calls == ["first", "missing", "changed"]


def test_the_same_content_has_one_folder_and_no_leftovers():
    assert stored(a=[1.0]) == stored(a=[1.0])
    first = stored(a=[1.0])
    with pytest.raises(RuntimeError, match="in the middle"), publish("tables") as out:
        (out.folder / "half").write_text("half")
        raise RuntimeError("in the middle")
    assert [path.name for path in first.folder.parent.iterdir()] == [first.digest[:16]]


def test_references_are_found_however_deep():
    ref = Ref(step="s", digest="d")
    assert list(refs_in({"a": [ref, {"b": (ref,)}], "c": 1})) == [ref, ref]


TASKS = (
    *(compute_indicators, label_regimes, make_windows, train_model, predict, fit_baselines),
    *(backtest, evaluate, evaluate_trading, report),
)
SAMPLES = {"label_regimes", "make_windows"}
NETWORKS = {"train_model", "predict", "fit_baselines"}


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("rnntrade/report/tables.py", {"report"}),
        ("rnntrade/features/indicators.py", {"compute_indicators", *SAMPLES}),
        ("rnntrade/models/attention.py", NETWORKS),
        ("rnntrade/training/loop.py", {"train_model"}),
        ("rnntrade/trading/costs.py", {"backtest"}),
        ("rnntrade/evaluation/metrics.py", {"evaluate", "evaluate_trading", "report"}),
        ("rnntrade/data/yahoo.py", set()),  # its content is the key, not how it came
        ("rnntrade/config.py", set()),  # its values are
    ],
)
def test_an_edit_changes_the_keys_of_what_runs_it_and_no_others(
    edited, changed, tmp_path, monkeypatch
):
    def digests() -> dict[str, list[str]]:
        fingerprint.source_digest.cache_clear()
        fingerprint.step_digest.cache_clear()
        return {task.name: task.cache_policy.digests() for task in TASKS}

    for package in ("rnntrade", "tasks"):
        shutil.copytree(fingerprint.ROOT / package, tmp_path / package)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    before = digests()
    with (tmp_path / edited).open("a") as source:
        source.write("\n# edited\n")
    after = digests()
    monkeypatch.undo()
    digests()
    assert {name for name in before if before[name] != after[name]} == changed


def test_another_version_of_a_library_is_other_code(monkeypatch):
    fingerprint.source_digest.cache_clear()
    features = fingerprint.source_digest("tasks.features")
    known = fingerprint.version
    monkeypatch.setattr(
        fingerprint, "version", lambda name: "99" if name == "torch" else known(name)
    )
    fingerprint.source_digest.cache_clear()
    worker = fingerprint.source_digest("rnntrade.training.worker")
    assert fingerprint.source_digest("tasks.features") == features
    monkeypatch.undo()
    fingerprint.source_digest.cache_clear()
    assert fingerprint.source_digest("rnntrade.training.worker") != worker
