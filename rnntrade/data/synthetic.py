"""Made-up bars for trying things out: seeded, endless, and without any edge in their direction.

A hidden Markov chain switches between three volatilities; both the overnight and the intraday step
are drawn from a t distribution with 5 degrees of freedom times that volatility, with a small
constant drift.  So volatility clusters and can be predicted; the sign of a return cannot.

Days are drawn for a fixed calendar (1990-2035) whatever range is asked for: seed and ticker alone
decide each bar.  The exchange's holidays are left out, some 1 in 400 sessions is missing, as it is
at real vendors, and about every five years the share splits 2 : 1, which only `raw_close` shows.

All this is process "regimes".  The others have a known best accuracy, no gap and no split.
"""

import hashlib
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import DataConfig
from rnntrade.data import processes, sessions
from rnntrade.data.bars import canonical
from rnntrade.types import Array

FIRST, LAST = date(sessions.FIRST_YEAR, 1, 1), date(sessions.LAST_YEAR, 12, 31)
VOLATILITY = np.array([0.006, 0.011, 0.022])  # deviation of a day's log return, by regime
STAY = np.array([0.990, 0.985, 0.970])  # probability that the regime lasts another day
DRIFT = 0.0002  # a day
LARGEST_STEP = 0.16  # of a half-day's log return: no day jumps by 40 %
MISSING = 1 / 400  # share of sessions
SPLITS = 1 / 1260  # share of sessions


def generate(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return the ticker's bars on all sessions of config.calendar within 1990-2035."""
    days = pd.date_range(FIRST, LAST, name="date", unit="ns")
    if config.process != "regimes":
        held = days.isin(_known_sessions(config.calendar))
        entropy = _entropy(f"{config.process}/{ticker}", config.seed)
        return processes.generate(config.process, days, held, entropy)
    rng = np.random.default_rng(_entropy(ticker, config.seed))
    volatility = VOLATILITY[_regimes(rng, len(days))]  # (days,)
    overnight = _steps(rng, 0.45 * volatility)
    intraday = _steps(rng, 0.89 * volatility) + DRIFT
    reach = np.abs(rng.standard_normal((2, len(days)))) * 0.4 * volatility
    turnover = np.exp(0.3 * rng.standard_normal(len(days)) + 40 * volatility)
    missing = rng.random(len(days)) < MISSING
    splits = rng.random(len(days)) < SPLITS

    held = days.isin(_known_sessions(config.calendar))
    overnight, intraday, reach = overnight[held], intraday[held], reach[:, held]
    close = 50 * np.exp(np.cumsum(overnight + intraday))  # (sessions,)
    open_ = close * np.exp(-intraday)
    to_come = splits[held].sum() - np.cumsum(splits[held])  # splits after this session
    bars = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(reach[0]),
            "low": np.minimum(open_, close) * np.exp(-reach[1]),
            "close": close,
            "volume": np.round(1e6 * turnover[held]),
            "raw_close": close * 2.0**to_come,
        },
        index=days[held],
    )
    return canonical(bars[~missing[held]])


def _known_sessions(calendar: str) -> pd.DatetimeIndex:
    """Sessions of the whole span, or of the part of it that the calendar knows."""
    first, last = sessions.reach(calendar)
    return sessions.expected_sessions(calendar, max(first, FIRST), min(last, LAST))


def _entropy(ticker: str, seed: int) -> int:
    name = f"{seed}/{ticker}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:16], "big")


def _regimes(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Walk the Markov chain: stay, or move to one of the other two regimes alike."""
    luck, choice = rng.random(count), rng.integers(1, 3, count)
    states = np.zeros(count, dtype=np.int64)
    for day in range(1, count):
        state = states[day - 1]
        states[day] = state if luck[day] < STAY[state] else (state + choice[day]) % 3
    return states


def _steps(rng: np.random.Generator, deviation: Array) -> Array:
    """Log returns with fat tails and the given deviation each."""
    steps = rng.standard_t(5, len(deviation)) / np.sqrt(5 / 3) * deviation
    clipped: Array = np.clip(steps, -LARGEST_STEP, LARGEST_STEP)
    return clipped
