"""The tests that belong to each task, in one table: against whom, statistic, p-value, how done.

p-values are one-sided: the chance of a result this good, or better, without skill.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.evaluation.significance import (
    Significance,
    binomial_by_session,
    diebold_mariano,
    ledoit_wolf_sharpe,
    mcnemar_by_session,
    pesaran_timmermann_by_session,
)
from rnntrade.protocols import Objective

COLUMNS = ["test", "against", "statistic", "p_value", "detail"]


def tests(test: Mapping[str, pd.DataFrame], objective: Objective, name: str) -> pd.DataFrame:
    """One row a test of the network `name` against its rivals, on the rows of the test part.

    classes  McNemar against the objective's rivals; of rises also binomial against a coin, and
             Pesaran and Timmermann
    numbers  Diebold and Mariano against each baseline
    """
    own, horizon = test[name], objective.horizon
    session = own["decision"].to_numpy()
    cost = {source: objective.cost(rows) for source, rows in test.items()}
    if not objective.classes:
        return _table(
            (rival, diebold_mariano(cost[name], cost[rival], horizon, session))
            for rival in test
            if rival != name
        )
    right = {source: loss == 0.0 for source, loss in cost.items()}
    found = [
        (rival, mcnemar_by_session(right[name], right[rival], session, horizon))
        for rival in objective.rivals
        if rival in test
    ]
    if objective.traded:
        truth = objective.truth(own) > 0.5
        up = objective.predicted(own).argmax(axis=1) == 1
        found = [
            ("a coin", binomial_by_session(right[name], session, horizon)),
            *found,
            ("independence", pesaran_timmermann_by_session(truth, up, session, horizon)),
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
