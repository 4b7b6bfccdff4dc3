"""The tests that belong to each task, in one table: against whom, statistic, p-value, how done.

p-values are one-sided: the chance of a result this good, or better, without skill.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR, ModelConfig
from rnntrade.evaluation.predictions import is_return, losses, probabilities_of
from rnntrade.evaluation.significance import (
    Significance,
    binomial_by_session,
    diebold_mariano,
    ledoit_wolf_sharpe,
    mcnemar_by_session,
    pesaran_timmermann_by_session,
)

COLUMNS = ["test", "against", "statistic", "p_value", "detail"]
RIVALS = {"regime": ("persistence", "markov_chain"), "direction": ("majority", "logistic_last")}


def tests(test: Mapping[str, pd.DataFrame], model: ModelConfig) -> pd.DataFrame:
    """One row a test of a network against its rivals, on the rows of the test part.

    regime     McNemar against persistence and the Markov chain
    direction  binomial against a coin, McNemar against the majority and a logistic regression,
               Pesaran and Timmermann
    returns    Diebold and Mariano against each baseline
    """
    own = test[model.name]
    session = own["decision"].to_numpy()
    cost = {source: losses(rows, model.task) for source, rows in test.items()}
    if is_return(model.task):
        return _table(
            (rival, diebold_mariano(cost[model.name], cost[rival], model.horizon, session))
            for rival in test
            if rival != model.name
        )
    right = {source: loss == 0.0 for source, loss in cost.items()}
    found = [
        (rival, mcnemar_by_session(right[model.name], right[rival], session, model.horizon))
        for rival in RIVALS[model.task]
        if rival in test
    ]
    if model.task == "direction":
        truth = own["truth"].to_numpy(float) > 0.5
        up = probabilities_of(own, model.task).argmax(axis=1) == 1
        found = [
            ("a coin", binomial_by_session(right[model.name], session, model.horizon)),
            *found,
            ("independence", pesaran_timmermann_by_session(truth, up, session, model.horizon)),
        ]
    return _table(found)


def strategy_tests(
    returns: pd.Series, benchmark: pd.Series, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """One row a test of a strategy against buy and hold: equal Sharpe ratios (Ledoit and Wolf)."""
    found = ledoit_wolf_sharpe(returns, benchmark, sessions_per_year=sessions_per_year)
    return _table([("buy_and_hold", found)])


def _table(found: Iterable[tuple[str, Significance]]) -> pd.DataFrame:
    rows = [
        [each.name, rival, float(each.statistic), float(each.p_better), each.detail]
        for rival, each in found
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"statistic": np.float64, "p_value": np.float64})
