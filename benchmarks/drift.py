"""How often drift is called on a market that never changes, and what is found on one that does.

    python -m benchmarks.drift

A market of GARCH returns (process n2), one ticker; five years train, then a year of looks at the
newest 60 sessions, one a week.  Models of 1, 3 and 20 inputs are told apart: drift in any of them
counts.  The exit code is 1, and the reason told, when our rule calls drift in more than a look of
eight, or misses a changed unit.
"""

import sys
import time
from datetime import date

import numpy as np
import pandas as pd

from benchmarks.machine import describe_machine
from rnntrade.config import DataConfig, ProductionConfig
from rnntrade.data.sources import SAMPLE, load_sample
from rnntrade.features.indicators import INDICATORS, ticker_features
from rnntrade.production.drift import Reference, feature_drift
from tests.production.inputs import RECENT, SETS, TRAINING, WARM_UP, columns, inputs

MARKETS = 100
YEAR, WEEK = 252, 5
CONFIG = ProductionConfig(drift_sessions=RECENT)
FALSE, USUAL = "false alarms, of looks", "with the limit 0.25 alone, of looks"


def main() -> None:
    began = time.perf_counter()
    table = pd.concat([one_market(seed) for seed in range(MARKETS)]).groupby(level=0, sort=False)
    shares = 100.0 * table.mean()
    print(describe_machine(), end="\n\n")
    print(f"{MARKETS} markets; the deviation of a share of markets is 5 % at most.\n")
    print("| inputs of the model | " + " | ".join(map(str, SETS)) + " |")
    print("| --- |" + " --- |" * len(SETS))
    for name, row in shares.iterrows():
        print(f"| {name} | " + " | ".join(f"{value:.1f} %" for value in row) + " |")
    print(f"\nOn real prices (sample, both indices, 5 years rolling): {real_prices()}")
    print(f"\nIt took {time.perf_counter() - began:.0f} s.")
    if shares.loc[FALSE].max() > 12.5:
        sys.exit("BROKEN: drift is called too often")
    if shares.loc["found: unit changed (times 100)"].min() < 100.0:
        sys.exit("BROKEN: a changed unit was missed")


def one_market(seed: int) -> pd.DataFrame:
    """(what, number of inputs) share of looks, or whether it was found."""
    values = inputs(seed, after=RECENT + YEAR)
    training, after = values[:TRAINING], values[TRAINING:]
    reference = Reference.of(training, INDICATORS, np.arange(TRAINING), CONFIG)
    looks = [
        feature_drift(reference, after[start : start + RECENT], CONFIG)
        for start in range(0, YEAR + 1, WEEK)
    ]
    called = np.array([look["drifted"] for look in looks])  # (looks, 20)
    plain = np.array([look["psi"] > CONFIG.drift_psi for look in looks])
    newest = after[-RECENT:]
    changed = {f"volatility times {k}": inputs(seed, RECENT + YEAR, k)[-RECENT:] for k in (2, 3)}
    changed["mean up by a deviation"] = newest + training.std(axis=0)
    changed["unit changed (times 100)"] = newest * 100.0
    changed["stuck at one value"] = np.repeat(newest[:1], RECENT, axis=0)
    found = {
        f"found: {name}": feature_drift(reference, rows, CONFIG)["drifted"].to_numpy()
        for name, rows in changed.items()
    }
    rows = {}
    for number in SETS:
        places = columns(number)
        rows[number] = {
            USUAL: plain[:, places].any(axis=1).mean(),
            FALSE: called[:, places].any(axis=1).mean(),
            "false alarms, of years with a look each week": called[:, places].any(),
            **{name: drifted[places].any() for name, drifted in found.items()},
        }
    return pd.DataFrame(rows).astype(float)


def real_prices() -> str:
    """Return the share of looks, one a month, in which drift is called by number of inputs."""
    config = DataConfig(source="sample")
    bars = [load_sample(ticker, date(1999, 1, 1), date(2019, 1, 1), config) for ticker in SAMPLE]
    values = np.stack([ticker_features(each, INDICATORS).to_numpy()[WARM_UP:] for each in bars], 1)
    session = np.repeat(np.arange(TRAINING), len(bars))
    called = []
    for start in range(0, len(values) - TRAINING - RECENT, 21):
        training = values[start : start + TRAINING].reshape(-1, len(INDICATORS))
        reference = Reference.of(training, INDICATORS, session, CONFIG)
        newest = values[start + TRAINING :][:RECENT].reshape(-1, len(INDICATORS))
        called.append(feature_drift(reference, newest, CONFIG)["drifted"].to_numpy())
    told = [f"{np.array(called)[:, columns(k)].any(axis=1).mean():.1%} of {k}" for k in SETS]
    return f"drift in {len(called)} looks, by inputs: {', '.join(told)}."


if __name__ == "__main__":
    main()
