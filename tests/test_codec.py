"""Values come back from their folder as they were; anything else there is refused by name."""

import json
import math
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from rnntrade.codec import load, plain, save
from rnntrade.config import BacktestConfig, ReportConfig, find_experiment
from rnntrade.errors import DataError
from rnntrade.evaluation.strategies import StrategyEvaluation, evaluate_strategy
from rnntrade.labels.hmm import HiddenMarkov
from rnntrade.labels.jump import JumpStates
from rnntrade.labels.regimes import Labels, StateModel
from rnntrade.samples.windows import make_samples
from rnntrade.trading.backtest import buy_and_hold
from rnntrade.types import Backtest, Books, Boundary, Epoch, Fold, FoldTargets, Thresholds, Windows

MARKOV = HiddenMarkov((0.1, -0.1), (0.5, 1.5), ((0.9, 0.1), (0.2, 0.8)), (2 / 3, 1 / 3))
JUMP = JumpStates((0.1,), (0.2,), ((0.0,), (1.0,)), 50.0)
DAYS = pd.date_range("2020-01-01", periods=4, name="date", unit="ns", freq=None)


@dataclass(frozen=True, eq=False)
class Everything:
    number: float
    maybe: float | None
    days: tuple[pd.Timestamp, pd.Timestamp | None]
    states: dict[str, StateModel]
    names: np.ndarray
    dates: np.ndarray
    flags: np.ndarray
    series: pd.Series
    table: pd.DataFrame
    more: dict[str, tuple[pd.DataFrame, ...]]


def everything() -> Everything:
    cases = pd.DataFrame({(2.5, "strategy"): [1.0, math.nan], (2.5, "hold"): [0.1, 0.2]})
    return Everything(
        math.nan,
        None,
        (pd.Timestamp("2020-01-02"), None),
        {"a": MARKOV, "b/..": JUMP},
        np.array(["SPY", "QQQ", "SPY"]),
        np.array(["2020-01-01", "NaT"], "datetime64[ns]"),
        np.array([[True], [False]]),
        pd.Series([1.0, math.nan], name=None),
        cases,
        {"../x": (pd.DataFrame(), pd.DataFrame({"a": ["b", None]}, index=DAYS[:2]))},
    )


def same(one: object, other: object) -> None:
    """Equal to the last bit, tables with their index."""
    if isinstance(one, pd.DataFrame):
        loose = {"check_freq": False, "check_column_type": False, "check_index_type": False}
        pd.testing.assert_frame_equal(one, other, **loose)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_freq=False)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same(mine, theirs)
    elif hasattr(one, "__dataclass_fields__"):
        assert type(one) is type(other)
        same(vars(one), vars(other))
    else:
        assert one == other or (one != one and other != other)


def test_every_kind_of_field_comes_back_and_stays_in_its_folder(tmp_path):
    save(everything(), tmp_path / "folder")
    same(everything(), load(Everything, tmp_path / "folder"))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_same_value_gives_the_same_bytes(tmp_path):
    files = {}
    for name in ("one", "two"):
        save(everything(), tmp_path / name)
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        files[name] = [(path.relative_to(tmp_path / name), path.read_bytes()) for path in paths]
    assert files["one"] == files["two"]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e-300, 0.1 + 0.2])
def test_numbers_come_back_to_the_last_bit(value, tmp_path):
    epoch = Epoch(1, value, 0.1, 0.2, 0.3, 0.4)
    save(epoch, tmp_path)
    same(epoch, load(Epoch, tmp_path))
    assert plain(epoch)["learning_rate"] == (value if math.isfinite(value) else None)


def test_an_experiment_comes_back(tmp_path):
    save(find_experiment("debug"), tmp_path)
    assert load(type(find_experiment("debug")), tmp_path) == find_experiment("debug")


def test_labels_of_a_fold_come_back_with_their_states(tmp_path):
    boundary = Boundary(0, DAYS[0], DAYS[1], DAYS[2], None)
    regimes = pd.DataFrame({"A": [0.0, math.nan, 1.0, 1.0]}, index=DAYS)
    labels = Labels(boundary, regimes, {"A": Thresholds(0.1, math.nan)}, {"A": JUMP}, ("Calm",))
    save(labels, tmp_path)
    same(labels, load(Labels, tmp_path))


def test_windows_give_each_fold_its_own_targets(tmp_path):
    days = pd.bdate_range("2020-01-01", periods=30)
    features = {t: pd.DataFrame({"a": np.arange(30.0), "b": 1.5}, index=days) for t in ("X", "^Y")}
    targets = {
        t: pd.concat([f["a"].shift(-1), f["a"].shift(-2)], axis=1) for t, f in features.items()
    }
    samples = make_samples(features, targets, lookback=4, horizon=2)
    rows = np.arange(len(samples))
    folds = tuple(
        FoldTargets(
            Fold(number, rows[: 10 + number], rows[12:15], rows[20:]),
            samples.target + number,
            rows * 1.0,
            {"X": Thresholds(0.1, 0.2)},
        )
        for number in range(2)
    )
    save(Windows(samples, folds), tmp_path)
    windows = load(Windows, tmp_path)
    same(Windows(samples, folds), windows)
    np.testing.assert_array_equal(windows.fold(1)[0].target, samples.target + 1)


@pytest.mark.parametrize("cases", [(0.0, 2.5), ()], ids=["two cost cases", "none"])
def test_a_backtest_and_its_evaluation_come_back(cases, prices, tmp_path):
    config = BacktestConfig()
    held = buy_and_hold(prices, prices.sessions[:60], config)
    costs = pd.DataFrame({(bps, "strategy"): held.returns for bps in cases})
    hold = pd.DataFrame({(bps, "buy_and_hold"): held.returns for bps in cases})
    none = pd.DataFrame(index=held.returns.index)
    folds = pd.DataFrame({"fold": 0}, index=held.returns.index)
    cost_cases = pd.concat([costs, hold], axis=1)
    books = Books(none, held.weights, folds, held, held, held, {}, cost_cases, none)
    save(books, tmp_path / "books")
    report = ReportConfig(bootstrap_draws=20, cost_cases=cases)
    found = evaluate_strategy("s", load(Books, tmp_path / "books"), config, report)
    assert len(found.by_cost) == len(cases)
    for value in (held, found):
        save(value, tmp_path / "value")
        same(value, load(type(value), tmp_path / "value"))
    assert {Backtest, StrategyEvaluation} == {type(held), type(found)}


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("file", ["value.json", "arrays.safetensors", "table.parquet"])
@pytest.mark.parametrize(
    "content", [pickle.dumps(Bomb()), b"", b"[]", None], ids=["pickle", "empty", "[]", "missing"]
)
def test_anything_else_in_place_of_a_file_is_refused_and_named(file, content, tmp_path):
    save(everything(), tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=rf"{file} cannot be read as Everything.*retrain") as caught:
        load(Everything, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda content: content.pop("learning_rate"), "learning_rate"),
        (lambda content: content.update(horoscope="Leo"), "horoscope"),
        (lambda content: content.update(number="many"), "number|int"),
        (lambda content: content.update(learning_rate=[1.0]), "float"),
    ],
    ids=["a field less", "a field more", "no number", "a list"],
)
def test_what_another_version_wrote_is_refused(change, named, tmp_path):
    save(Epoch(1, 0.1, 0.1, 0.2, 0.3, 0.4), tmp_path)
    content = json.loads((tmp_path / "value.json").read_text())
    change(content)
    (tmp_path / "value.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"value\.json cannot be read as Epoch.*({named})"):
        load(Epoch, tmp_path)


def test_what_has_no_form_is_a_defect(tmp_path):
    with pytest.raises(TypeError, match="cannot store a set"):
        save({"a": {1}}, tmp_path)
    with pytest.raises(TypeError, match="keys are no strings"):
        save({1: "a"}, tmp_path)
    with pytest.raises(TypeError, match="cannot store a DataFrame"):
        plain({"a": pd.DataFrame()})


def test_reading_and_writing_never_loads_torch():
    code = "import sys, rnntrade.types, rnntrade.labels.regimes, rnntrade.production.desk"
    script = f"{code}, tasks.refs; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
