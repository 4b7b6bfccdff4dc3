"""How much history each feature needs, measured rather than promised.

Two walks share their newest closes and nothing before: a feature needs as many closes as it takes
until its values on the two agree.  A window forgets all at once; an exponential average never
quite, so it is asked for 1e-9 of the feature's usual size.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Finding
from rnntrade.features.indicators import FEATURES, INDICATORS

FIRST_USABLE = 50  # closes after which every indicator is there
WARM_UP = 60  # closes that a served model is promised to need before its window
OLD, SHARED = 700, 1300  # closes before the walks meet, and after
FORGOTTEN = 1e-9  # of the feature's usual size
NEARLY = 1e-4  # what a window forgets in the same session, and an average long before

Feature = Callable[[pd.DataFrame], pd.DataFrame]


def warmup_table(features: Mapping[str, Feature] = FEATURES) -> pd.DataFrame:
    """Return one row a feature, indexed by its name.

    features       name -> function of (T, K) closes
    first_defined  closes after which it first has a value
    needs          closes that its value depends on; -1: on all there are
    memory         "window", "decaying" (an exponential average) or "whole sample"
    left_at_60     what is left of the difference after 60 closes, in units of its usual size
    """
    rows = {name: _measured(feature) for name, feature in features.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("feature")


def judged(table: pd.DataFrame, indicators: Collection[str] = INDICATORS) -> Audited:
    """Find features that start too early, too late, or never forget where the sample started.

    table       as `warmup_table` gives it
    indicators  names that must have a value from the 50th close on
    """
    findings = []
    for name, row in table.iterrows():
        first, needs, memory = int(row["first_defined"]), int(row["needs"]), str(row["memory"])
        kinds = {}
        if memory == "whole sample":
            told = f"after {SHARED} closes its value still depends on where the sample started"
            kinds["depends on the start of the sample"] = told
        elif memory == "window" and 0 < first < needs:
            kinds["partial window"] = f"has a value after {first} closes, but depends on {needs}"
        if name in indicators and not 0 < first <= FIRST_USABLE:
            told = f"first has a value after {first} closes, promised after {FIRST_USABLE}"
            kinds["usable later than promised"] = told
        findings += [Finding("warm-up", "features", str(name), "", *k) for k in kinds.items()]
    return Audited({"warm-up": len(table) * (OLD + SHARED)}, tuple(findings))


def _measured(feature: Feature) -> dict[str, float | int | str]:
    """One row of the table."""
    random = np.random.default_rng(0)
    steps = random.normal(0.0, 0.012, (OLD + SHARED, 2))
    steps[OLD + 1 :, 1] = steps[OLD + 1 :, 0]
    level = np.cumsum(steps, axis=0)
    walks = 100.0 * np.exp(level - level[OLD] + level[OLD, 0])  # the same from row OLD on
    walks[OLD:, 1] = walks[OLD:, 0]
    sessions = pd.bdate_range("2000-01-03", periods=len(walks), name="date")
    values = feature(pd.DataFrame(walks, sessions, ["one", "other"])).to_numpy(dtype=float)
    known = np.isfinite(values[:, 0])
    gap = np.abs(values[OLD:, 0] - values[OLD:, 1])  # (SHARED,)
    gap = np.where(np.isnan(values[OLD:]).all(axis=1), 0.0, np.where(np.isnan(gap), np.inf, gap))
    usual = float(np.median(np.abs(values[OLD:][known[OLD:], 0]))) if known[OLD:].any() else 1.0
    usual = usual or 1.0
    needs, nearly = (  # closes shared until the values agree for good
        int(np.flatnonzero(gap > share * usual).max(initial=-1)) + 2
        for share in (FORGOTTEN, NEARLY)
    )
    memory = "window" if needs - nearly <= 1 else "decaying"
    return {
        "first_defined": int(known.argmax()) + 1 if known.any() else 0,
        "needs": -1 if needs > SHARED else needs,
        "memory": "whole sample" if needs > SHARED else memory,
        "left_at_60": float(gap[WARM_UP - 1 :].max() / usual),
    }
