"""When a result is reused, and when it must not be."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from prefect import flow

from rnntrade import fingerprint
from rnntrade.config import TrainingConfig
from tasks import steps
from tasks.audit import audit
from tasks.caching import step
from tasks.diagnosis import make_combinatorial_windows, trade_paths
from tasks.refs import Ref, publish, put, refs_in
from tasks.report import report

CALLS: list[str] = []


@step(of=(), not_in_key=("label",))
def double(table: Ref, label: str, config: TrainingConfig) -> dict[str, Ref]:
    CALLS.append(label)
    return {"doubled": put("doubled", table.load() * 2)}


@flow
def doubling(table: Ref, label: str = "", seed: float = 1e-3) -> dict[str, Ref]:
    return double(table, label, TrainingConfig(learning_rate=seed))


def stored(**columns: list[float]) -> Ref:
    return put("tables", pd.DataFrame(columns))


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
    with (made.folder / "value.parquet").open("ab") as file:
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
    ref = Ref("s", "d")
    assert list(refs_in({"a": [ref, {"b": (ref,)}], "c": 1})) == [ref, ref]


TASKS = (
    *(steps.compute_indicators, steps.label_regimes, steps.make_windows, steps.train_model),
    *(steps.predict, steps.fit_baselines, steps.backtest, steps.evaluate, steps.evaluate_trading),
    *(steps.compare, steps.make_desk, audit, report, make_combinatorial_windows, trade_paths),
)
EVERYTHING = {task.name for task in TASKS}
SAMPLES = {"label_regimes", "make_windows"}
JUDGED = {"evaluate", "evaluate_trading", "compare", "report"}


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("rnntrade/report/tables.py", {"report"}),
        ("rnntrade/report/page.html.j2", {"report"}),
        ("rnntrade/report/catalogue.toml", {"report"}),
        ("rnntrade/features/indicators.py", {"compute_indicators", "audit", "make_desk", *SAMPLES}),
        ("rnntrade/models/attention.py", {"train_model", "predict", "audit"}),
        ("rnntrade/training/loop.py", {"train_model", "audit"}),
        ("rnntrade/trading/costs.py", {"backtest", "trade_paths", "audit"}),
        ("rnntrade/evaluation/metrics.py", {"trade_paths", *JUDGED}),
        ("rnntrade/codec.py", EVERYTHING),  # how a value is stored
        ("rnntrade/data/yahoo.py", set()),  # its content is the key, not how it came
        ("rnntrade/config.py", set()),  # its values are
        ("tasks/home.py", {"audit", "report"}),
    ],
)
def test_an_edit_changes_the_keys_of_what_runs_it_and_no_others(edited, changed, keys_after):
    assert keys_after(edited, "", "\n# edited\n") == changed


@pytest.mark.parametrize(
    ("edited", "line", "changed"),
    [
        ("rnntrade/chain.py", "sure = confidence(probability)", {"backtest"}),
        ("rnntrade/chain.py", "folds = self.boundaries(prices.sessions", {"label_regimes"}),
        ("rnntrade/chain.py", "check_names(model.inputs)", {"make_windows"}),
        ("rnntrade/chain.py", "alone += [table.assign(member=m)", {"predict"}),
        ("tasks/steps.py", "run = books.load()", {"evaluate_trading"}),
        ("tasks/steps.py", "torch.set_num_threads(1)", {"predict"}),
    ],
)
def test_an_edit_in_one_step_reruns_that_step_alone(edited, line, changed, keys_after):
    assert keys_after(edited, line, "False; " + line) - {"audit"} == changed


def forget() -> None:
    """Let the source be read again."""
    names = ("source_digest", "step_digest", "own_lines", "_imports", "_version")
    for name in names:
        getattr(fingerprint, name).cache_clear()


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """The source, to be edited."""
    folder = tmp_path_factory.mktemp("source")
    for package in ("rnntrade", "tasks"):
        shutil.copytree(fingerprint.ROOT / package, folder / package)
    return folder


@pytest.fixture
def keys_after(copied, monkeypatch):
    """Which steps have another key after an edit."""

    def after(edited: str, line: str, new: str) -> set[str]:
        text = (copied / edited).read_text()
        assert line in text
        with monkeypatch.context() as patch:
            patch.setattr(fingerprint, "ROOT", copied)
            (copied / edited).write_text(text.replace(line, new, 1) if line else text + new)
            forget()
            now = {task.name: task.cache_policy.digests() for task in TASKS}
        (copied / edited).write_text(text)
        return {task.name for task in TASKS if task.cache_policy.sources != now[task.name]}

    yield after
    forget()


def test_another_version_of_a_library_is_other_code(monkeypatch):
    forget()
    features = fingerprint.source_digest("rnntrade.features.indicators")
    known = fingerprint.version
    monkeypatch.setattr(
        fingerprint, "version", lambda name: "99" if name == "torch" else known(name)
    )
    forget()
    worker = fingerprint.source_digest("rnntrade.training.worker")
    assert fingerprint.source_digest("rnntrade.features.indicators") == features
    monkeypatch.undo()
    forget()
    assert fingerprint.source_digest("rnntrade.training.worker") != worker
