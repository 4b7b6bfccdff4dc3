"""The diagnosis in this process, with tiny networks on made-up prices."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from prefect.client.orchestration import get_client

from rnntrade.codec import load
from rnntrade.config import find_experiment, override
from rnntrade.errors import ConfigError
from rnntrade.evaluation.paths import TradedPaths
from rnntrade.types import Windows
from tasks.diagnosis import DEAD_BANDS, NOTICE, Diagnosis, markdown
from tasks.home import artifacts_folder
from tasks.tracking.runs import client
from tests.homes import lean

GROUPS, TEST_GROUPS, MEMBERS = 4, 2, 2
CHANGES = {"members": MEMBERS, "seed": 7, "models.*.max_epochs": 1, "models.*.hidden_size": 3}


def tiny():
    debug = override(find_experiment("debug"), CHANGES)
    kept = [model for model in debug.models if model.name in ("many_to_one_lstm", "seq2seq_lstm")]
    return replace(debug, models=tuple(kept))


@pytest.fixture(scope="module")
def diagnosed(prefect_server) -> tuple[Diagnosis, dict[str, set[str]], int]:
    from flows.diagnose import diagnose

    before = {step: folders(step) for step in ("fits", "windows", "paths")}
    versions = len(client().search_model_versions())
    with lean():
        found = diagnose(tiny(), GROUPS, TEST_GROUPS)
    new = {step: folders(step) - known for step, known in before.items()}
    return found, new, len(client().search_model_versions()) - versions


def folders(step: str) -> set[str]:
    place = artifacts_folder() / step
    return {each.name for each in place.iterdir()} if place.is_dir() else set()


@pytest.mark.slow
def test_every_choice_of_groups_is_fitted_and_every_path_is_beside_buy_and_hold(diagnosed):
    found, new, _ = diagnosed
    assert (found.folds, found.paths) == (math.comb(4, 2), 3)
    assert found.fits == found.folds * MEMBERS  # of the one model that trades
    assert len(new["fits"]) == found.fits
    (ratios,) = found.ratios.values()
    assert list(found.ratios) == ["many_to_one_lstm"]
    known = [ratio for ratio in found.sharpe["many_to_one_lstm"] if math.isfinite(ratio)]
    assert len(known) + ratios.undefined == found.paths
    assert ratios.share_below == sum(r < ratios.hold for r in known) / found.paths
    assert (
        len(found.configurations) == MEMBERS * len(DEAD_BANDS) == found.overfitting.configurations
    )
    assert found.failures == {}


@pytest.mark.slow
def test_it_says_that_it_is_no_result_and_registers_nothing(diagnosed):
    found, _, registered = diagnosed
    assert registered == 0
    assert "train on sessions after" in NOTICE
    page = markdown(found)
    assert page.index(NOTICE) < page.index(found.text)
    words = json.dumps(found.as_json()).lower()
    assert NOTICE.lower() in words
    assert "evidence" not in words
    with get_client(sync_client=True) as server:
        shown = server.read_artifacts()
    keys = {each.key for each in shown if str(each.flow_run_id) == found.prefect_run}
    assert keys == {"paths", "diagnosis"}


@pytest.mark.slow
def test_what_trained_lies_on_both_sides_of_the_test_part_and_away_from_it(diagnosed):
    _, new, _ = diagnosed
    (window,) = new["windows"]
    windows = load(Windows, artifacts_folder() / "windows" / window)
    after = 0
    for number in range(math.comb(GROUPS, TEST_GROUPS)):
        samples, each = windows.fold(number)
        spans, fold = samples.spans, each.fold
        test = spans[fold.test]
        known = ~np.isnat(test.label_end)
        for rows in (fold.training, fold.validation):
            one = spans[rows]
            older = one.label_end[:, None] <= test.decision[known]
            newer = one.feature_start[:, None] > test.label_end[known]
            assert (older | newer).all()
        after += int((spans.decision[fold.training] > test.decision.min()).any())
    assert after > 0


@pytest.mark.slow
def test_again_it_trains_nothing_and_says_the_same(diagnosed):
    from flows.diagnose import diagnose

    before = {step: folders(step) for step in ("fits", "windows", "paths")}
    again = diagnose(tiny(), GROUPS, TEST_GROUPS)
    assert again.model_dump(exclude={"prefect_run"}) == diagnosed[0].model_dump(
        exclude={"prefect_run"}
    )
    assert {step: folders(step) for step in before} == before


@pytest.mark.slow
def test_paths_configurations_and_buy_and_hold_share_their_sessions(diagnosed):
    found, new, _ = diagnosed
    (name,) = new["paths"]
    traded = load(TradedPaths, artifacts_folder() / "paths" / name)
    own, tried = traded.paths, traded.configurations
    assert own.shape[1] == found.paths
    assert own.index.equals(tried.index)
    assert own.index.equals(traded.hold.index)
    assert tried.notna().all().all()
    assert list(tried) == list(found.configurations)


def test_an_experiment_that_trades_nothing_is_told(prefect_server):
    from flows.diagnose import diagnose

    experiment = tiny()
    silent = replace(experiment, models=experiment.models[1:])
    with pytest.raises(ConfigError, match="debug has no model of task direction"):
        diagnose(silent)
    with pytest.raises(ConfigError, match="4 test groups of 4"):
        diagnose(experiment, 4, 4)
