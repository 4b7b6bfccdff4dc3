import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rnntrade.evaluation import compare


def superior_predictive_ability(benchmark, models, *rest, **options):
    """Lower, consistent and upper p."""
    return compare.superior_predictive_ability(
        compare.scaled_gains(benchmark, models), *rest, **options
    )


def step_m(benchmark, models, *rest):
    return compare.step_m(compare.scaled_gains(benchmark, models), *rest)


def losses(
    seed: int, gains: dict[str, float], sessions: int = 300
) -> tuple[pd.Series, pd.DataFrame]:
    """A benchmark's losses and those of models that save so much a session."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2020-01-01", periods=sessions)
    benchmark = pd.Series(1.0 + rng.normal(size=sessions), index)
    models = {name: benchmark - gain + rng.normal(size=sessions) for name, gain in gains.items()}
    return benchmark, pd.DataFrame(models)


def test_one_model_alone_is_tested_as_by_its_mean():
    benchmark, models = losses(0, {"one": 0.1})
    gain = benchmark - models["one"]
    expected = stats.norm.sf(gain.mean() / (gain.std() / len(gain) ** 0.5))
    found = superior_predictive_ability(benchmark, models, 1, 2000)
    assert 0.01 < expected < 0.2
    for p in found:
        assert p == pytest.approx(expected, abs=0.03)


def test_a_model_that_is_better_is_found_among_others():
    benchmark, models = losses(1, {"none": 0.0, "good": 0.5, "bad": -0.5, "fair": 0.4})
    found = superior_predictive_ability(benchmark, models, 3, 400)
    lower, consistent, upper = found
    assert lower <= consistent <= upper < 0.01
    assert consistent == pytest.approx(1 / 401)  # never 0
    assert step_m(benchmark, models, 0.05, 3, 400) == ("good", "fair")


def test_steps_are_those_of_arch_where_its_own_do_not_fail():
    from arch.bootstrap import StepM

    several = 0
    for seed in range(12):
        benchmark, models = losses(seed, {"a": 0.5, "b": 0.17, "c": 0.1, "d": -1.0}, 100)
        gains = models.rsub(benchmark, axis=0)
        gains /= gains.std(ddof=0)
        theirs = StepM(pd.Series(0.0, gains.index), -gains, 0.1, 2, 100, seed=seed)
        theirs.compute()
        ours = step_m(benchmark, models, 0.1, 2, 100, seed)
        assert list(ours) == theirs.superior_models
        several += len(ours) > 1
    assert several > 2


def test_every_model_may_turn_out_better_in_turn():
    benchmark, models = losses(8, {"a": 0.5, "b": 0.17}, 100)
    assert step_m(benchmark, models, 0.05, 2, 100, 8) == ("a", "b")


def test_without_skill_the_size_holds():
    rejected, named = [], []
    for seed in range(60):
        benchmark, models = losses(seed, {"a": 0.0, "b": 0.0, "c": -0.3}, 100)
        _, consistent, upper = superior_predictive_ability(benchmark, models, 2, 100, seed)
        rejected.append((consistent <= 0.05, upper <= 0.05))
        named.append(bool(step_m(benchmark, models, 0.05, 2, 100, seed)))
    bound = 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5
    consistent, upper = np.mean(rejected, axis=0)
    assert upper <= consistent < bound
    assert np.mean(named) < bound


def test_the_best_of_many_lucky_ones_is_not_believed():
    benchmark, models = losses(2, {str(number): 0.0 for number in range(40)}, 200)
    gains = models.rsub(benchmark, axis=0)
    alone = gains.mean() / (gains.std() / 200**0.5)
    assert stats.norm.sf(alone.max()) < 0.05  # by itself the luckiest would pass
    assert superior_predictive_ability(benchmark, models, 2, 300)[1] > 0.1


def test_a_model_with_wild_losses_does_not_hide_the_others():
    benchmark, models = losses(5, {"good": 0.3})
    models["wild"] = benchmark + 50 * np.random.default_rng(9).normal(size=300)
    assert step_m(benchmark, models, 0.05, 2, 300) == ("good",)
    assert superior_predictive_ability(benchmark, models, 2, 300)[1] < 0.05


def test_results_repeat_with_the_seed():
    benchmark, models = losses(6, {"a": 0.08, "b": 0.05})
    first = superior_predictive_ability(benchmark, models, 4, 300, seed=1)
    assert first == superior_predictive_ability(benchmark, models, 4, 300, seed=1)
    assert first != superior_predictive_ability(benchmark, models, 4, 300, seed=2)


def test_sessions_that_a_model_misses_are_dropped():
    benchmark, models = losses(7, {"a": 0.1, "b": 0.0})
    models.iloc[3, 0] = math.nan
    models.iloc[5, 1] = math.inf
    shuffled = models.sample(frac=1.0, random_state=0).sort_index().iloc[1:]
    found = superior_predictive_ability(benchmark, shuffled, 4, 200)
    assert len(compare.scaled_gains(benchmark, shuffled)) == 297
    whole = shuffled.drop(index=[models.index[3], models.index[5]])
    expected = superior_predictive_ability(benchmark[whole.index], whole, 4, 200)
    assert found == expected


def test_a_model_that_is_the_benchmark_is_left_out():
    benchmark, models = losses(8, {"a": 0.5})
    models["same"] = benchmark
    found = superior_predictive_ability(benchmark, models, 4, 200)
    assert found[1] < 0.01
    assert step_m(benchmark, models, 0.05, 4, 200) == ("a",)
    alone = superior_predictive_ability(benchmark, models[["same"]], 4, 200)
    assert alone == (1.0, 1.0, 1.0)
    assert step_m(benchmark, models[["same"]], 0.05, 4, 200) == ()


def test_a_model_that_is_always_better_by_the_same_is_better():
    benchmark, _ = losses(9, {})
    models = pd.DataFrame({"always": benchmark - 1.0, "never": benchmark + 1.0})
    assert step_m(benchmark, models, 0.05, 2, 100) == ("always",)
    assert superior_predictive_ability(benchmark, models, 2, 100)[2] < 0.02
    assert superior_predictive_ability(benchmark, models[["never"]], 2, 100)[0] == 1.0


def test_models_that_are_all_worse_are_no_evidence_at_all():
    benchmark, models = losses(3, {"bad": -0.5, "worse": -1.0})
    found = superior_predictive_ability(benchmark, models, 3, 100)
    assert found == (1.0, 1.0, 1.0)
    assert step_m(benchmark, models, 0.05, 3, 100) == ()


def test_too_few_sessions_say_nothing():
    benchmark, models = losses(10, {"a": 0.5}, 30)
    found = superior_predictive_ability(benchmark, models, 16, 100)
    assert math.isnan(found[1])
    assert step_m(benchmark, models, 0.05, 16, 100) == ()


def test_what_cannot_be_compared_is_refused():
    benchmark, models = losses(11, {"a": 0.5})
    twice = pd.concat([models, models.iloc[:1]])
    with pytest.raises(ValueError, match="session twice"):
        superior_predictive_ability(benchmark, twice, 4)
