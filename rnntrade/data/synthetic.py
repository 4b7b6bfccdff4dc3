"""Made-up bars for trying things out: seeded, endless, and without any edge in their direction.

A hidden Markov chain switches between three volatilities; both the overnight and the intraday step
are drawn from a t distribution with 5 degrees of freedom times that volatility, with a small
constant drift.  So volatility clusters and can be predicted; the sign of a return cannot.

Days are drawn for a fixed calendar (1990-2035) whatever range is asked for: seed and ticker alone
decide each bar.  The exchange's holidays are left out, some 1 in 400 sessions is missing, as it is
at real vendors, and about every five years the share splits 2 : 1, which only `raw_close` shows.

All this is process "regimes".  The best possible accuracy on the others is known, and they have no
gap and no split: there a session's log return is a sign times a magnitude, drawn apart from each
other, so that how large a return is tells nothing about any sign.  Magnitudes are those of a
GARCH(1,1) with t shocks (of a Gaussian walk in `n1`).  The sign of session t:

p1      that of t-1 with probability 0.60
p2      the product of those of t-1 and t-3 with probability 0.65; no single sign tells anything
p3      up with probability 0.75 or 0.25, as a hidden state says that stays with probability 0.98
n1, n2  a fair coin

Bars open at the previous close: a decision that is filled at the next open earns the whole return.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import DataConfig
from rnntrade.data import sessions
from rnntrade.data.bars import canonical
from rnntrade.errors import ConfigError
from rnntrade.types import Array, Bools

P1_REPEATS = 0.60
P2_PARITY = 0.65
P3_UP = np.array([0.25, 0.75])  # by hidden state
P3_STAYS = 0.98

OMEGA, ALPHA, BETA = 1e-6, 0.08, 0.90  # of the variance of a session's log return
FREEDOM = 6  # degrees, of the t shocks
DEVIATION = math.sqrt(OMEGA / (1.0 - ALPHA - BETA))  # in the long run, as that of the walk
LARGEST = 0.30  # log return: no session jumps by 40 %

CHAINS, STEPS, WARM_UP = 1000, 2000, 300  # of the simulation behind P3's best accuracy

Process = Literal["p1", "p2", "p3", "n1", "n2"]

FIRST, LAST = date(sessions.FIRST_YEAR, 1, 1), date(sessions.LAST_YEAR, 12, 31)
VOLATILITY = np.array([0.006, 0.011, 0.022])  # deviation of a day's log return, by regime
STAY = np.array([0.990, 0.985, 0.970])  # probability that the regime lasts another day
DRIFT = 0.0002  # a day
LARGEST_STEP = 0.16  # of a half-day's log return: no day jumps by 40 %
MISSING = 1 / 400  # share of sessions
SPLITS = 1 / 1260  # share of sessions


@dataclass(frozen=True)
class Best:
    """The best accuracy that any forecast of the sign can have, who knows the process or not."""

    accuracy: float  # expected share of sessions
    error: float  # standard error of `accuracy`; 0 where it is known exactly
    variance: float  # of the best forecast's share right over n sessions, times n

    def deviation(self, sessions: int) -> float:
        """Return the standard error of the best forecast's accuracy over that many sessions."""
        return math.sqrt(self.variance / sessions + self.error**2)


def generate(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return the ticker's bars on all sessions of config.calendar within 1990-2035."""
    days = pd.date_range(FIRST, LAST, name="date", unit="ns")
    held = days.isin(_known_sessions(config.calendar))
    if config.process != "regimes":
        entropy = _entropy(f"{config.process}/{ticker}", config.seed)
        return generate_process(config.process, days, held, entropy)
    rng = np.random.default_rng(_entropy(ticker, config.seed))
    volatility = VOLATILITY[_regimes(rng, len(days))]  # (days,)
    overnight = _steps(rng, 0.45 * volatility)
    intraday = _steps(rng, 0.89 * volatility) + DRIFT
    reach = np.abs(rng.standard_normal((2, len(days)))) * 0.4 * volatility
    turnover = np.exp(0.3 * rng.standard_normal(len(days)) + 40 * volatility)
    missing = rng.random(len(days)) < MISSING
    splits = rng.random(len(days)) < SPLITS

    overnight, intraday, reach = overnight[held], intraday[held], reach[:, held]
    close = 50 * np.exp(np.cumsum(overnight + intraday))  # (sessions,)
    open_ = close * np.exp(-intraday)
    to_come = splits[held].sum() - np.cumsum(splits[held])  # splits after this session
    bars = _bars(days[held], open_, close, reach, turnover[held], close * 2.0**to_come)
    return bars[~missing[held]]


def _bars(
    days: pd.DatetimeIndex, opened: Array, close: Array, reach: Array, traded: Array, raw: Array
) -> pd.DataFrame:
    """Bars of T sessions; reach (2, T) is how far, in logs, highs and lows lie outside."""
    table = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(reach[0]),
        "low": np.minimum(opened, close) * np.exp(-reach[1]),
        "close": close,
        "volume": np.round(1e6 * traded),
        "raw_close": raw,
    }
    return canonical(pd.DataFrame(table, index=days))


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


def generate_process(
    process: Process, days: pd.DatetimeIndex, held: Bools, entropy: int
) -> pd.DataFrame:
    """Return bars of the days on which a session was held; the first is there to move from.

    days     (D,) all days; each has its own draws, so that a calendar moves no draw
    held     (D,) true for sessions, on which alone the process goes on
    """
    for_sign, for_size, for_rest = (
        np.random.default_rng(each) for each in np.random.SeedSequence(entropy).spawn(3)
    )
    sign = SIGNS[process](for_sign.random((2, len(days)))[:, held])  # (T,)
    normal = for_size.standard_normal(len(days))
    student = for_size.standard_t(FREEDOM, len(days)) * math.sqrt((FREEDOM - 2) / FREEDOM)
    size = DEVIATION * np.abs(normal[held]) if process == "n1" else garch_sizes(student[held])
    reach = np.abs(for_rest.standard_normal((2, len(days))))[:, held] * 0.4 * DEVIATION
    traded = np.exp(0.3 * for_rest.standard_normal(len(days)))[held]

    close = 50.0 * np.exp(np.cumsum(sign * np.minimum(size, LARGEST)))  # (T,)
    opened = np.concatenate([close[:1], close[:-1]])
    return _bars(days[held], opened, close, reach, traded, close)


def garch_sizes(shocks: Array) -> Array:
    """(T,) absolute GARCH(1,1) log returns by (T,) shocks of variance 1, from the long run's on.

    source   Bollerslev (1986), Generalized Autoregressive Conditional Heteroskedasticity
    """
    sizes = np.empty(len(shocks))
    variance = DEVIATION**2
    for t, shock in enumerate(shocks):
        sizes[t] = math.sqrt(variance) * abs(shock)
        variance = OMEGA + ALPHA * sizes[t] ** 2 + BETA * variance
    return sizes


def best_accuracy(process: str) -> Best:
    """Return the accuracy of the forecast that knows the process and all of the past.

    p3      the forward filter with the true parameters, simulated; its error is stated
    errors  ConfigError for a process whose best accuracy is not known
    """
    exact = {"p1": P1_REPEATS, "p2": P2_PARITY, "n1": 0.5, "n2": 0.5}
    if process == "p3":
        return _filtered_accuracy()
    if process not in exact:
        raise ConfigError(
            f"the best accuracy on process {process!r} is not known.  "
            f"It is for {', '.join(SIGNS)}: set data.process to one of these."
        )
    accuracy = exact[process]
    return Best(accuracy, 0.0, accuracy * (1.0 - accuracy))


def filter_p3(signs: NDArray[np.int64]) -> Array:
    """(..., T) chance that the next sign of p3 is up, by the filter with its true parameters.

    signs    (..., T) of +1 and -1; row t knows those until t
    source   Hamilton (1989), A New Approach to the Economic Analysis of Nonstationary Time Series
    """
    told = np.empty(signs.shape)
    likely = np.full(signs.shape[:-1], 0.5)  # P(state 1 at t | signs before t)
    for t in range(signs.shape[-1]):
        up = signs[..., t] > 0
        first = np.where(up, P3_UP[1], 1.0 - P3_UP[1]) * likely
        other = np.where(up, P3_UP[0], 1.0 - P3_UP[0]) * (1.0 - likely)
        now = first / (first + other)
        likely = P3_STAYS * now + (1.0 - P3_STAYS) * (1.0 - now)
        told[..., t] = P3_UP[1] * likely + P3_UP[0] * (1.0 - likely)
    return told


@lru_cache(maxsize=1)
def _filtered_accuracy() -> Best:
    """Simulate the filter: chains are independent, so their spread gives the errors."""
    luck = np.random.default_rng(0).random((2, CHAINS, STEPS + WARM_UP))
    signs = _hidden_regimes(luck)
    right = (filter_p3(signs)[:, :-1] > 0.5) == (signs[:, 1:] > 0)
    share = right[:, WARM_UP:].mean(axis=1)  # (chains,)
    counted = right.shape[1] - WARM_UP
    return Best(
        accuracy=float(share.mean()),
        error=float(share.std(ddof=1) / math.sqrt(CHAINS)),
        variance=float(share.var(ddof=1) * counted),
    )


def _repeated(luck: Array) -> NDArray[np.int64]:
    """p1: each flip of the sign is independent."""
    step = np.where(luck[0] < P1_REPEATS, 1, -1)
    step[0] = 1 if luck[1, 0] < 0.5 else -1
    return np.cumprod(step)


def _parity(luck: Array) -> NDArray[np.int64]:
    step = np.where(luck[0] < P2_PARITY, 1, -1)
    signs = np.where(luck[1] < 0.5, 1, -1)  # the first three are a coin's
    for t in range(3, len(signs)):
        signs[t] = step[t] * signs[t - 1] * signs[t - 3]
    return signs


def _hidden_regimes(luck: Array) -> NDArray[np.int64]:
    """p3, (..., T) from (2, ..., T) draws."""
    moves = (luck[1] >= P3_STAYS).astype(np.int64)
    moves[..., 0] = luck[1, ..., 0] < 0.5  # the first state is a coin's
    state = np.cumsum(moves, axis=-1) % 2
    return np.where(luck[0] < P3_UP[state], 1, -1)


def _coin(luck: Array) -> NDArray[np.int64]:
    return np.where(luck[0] < 0.5, 1, -1)


SIGNS: Mapping[Process, Callable[[Array], NDArray[np.int64]]] = {
    "p1": _repeated,
    "p2": _parity,
    "p3": _hidden_regimes,
    "n1": _coin,
    "n2": _coin,
}  # uniform draws (2, T) to signs (T,)
