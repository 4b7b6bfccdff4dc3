"""The values that flow through the pipeline, in the order they appear.

T sessions, K tickers, F features, N samples, L lookback, h horizon.  All frozen: a step returns a
new value.  Times are dates of sessions; everything is joined on them, never on an offset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import LabelConfig, ModelConfig

FIELDS = ("open", "high", "low", "close", "volume", "raw_close")
REGIMES = ("Bear", "Consolidation", "Bull", "High volatility")  # class 0, 1, 2, 3 of the rule
STATES = {  # the classes of the statistical kinds, by their number; networks have 4 outputs always
    2: ("Calm", "Turbulent", "Unused 2", "Unused 3"),
    3: ("Calm", "Middle", "Turbulent", "Unused 3"),
}


def regime_names(labels: LabelConfig) -> tuple[str, ...]:
    """What the four classes are called; only regimes by rule have a direction."""
    return REGIMES if labels.kind == "rule" else STATES[labels.states]


def used_classes(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes that occur."""
    return tuple(name for name in names if not name.startswith("Unused"))


def turbulent_classes(labels: LabelConfig) -> frozenset[int]:
    """Classes in which a regime filter holds less: Bear and High volatility, or the last state."""
    return frozenset({0, 3} if labels.kind == "rule" else {labels.states - 1})


Dates = NDArray[np.datetime64]  # datetime64[ns], midnight, tz-naive
Rows = NDArray[np.int64]
Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Prices:
    """Adjusted daily bars: one (T, K) frame per field, all on the same sessions and tickers.

    NaN means not traded (not listed yet, halted); a bar is there whole or not at all.
    """

    open: pd.DataFrame
    high: pd.DataFrame
    low: pd.DataFrame
    close: pd.DataFrame
    volume: pd.DataFrame  # shares
    raw_close: pd.DataFrame  # as it was quoted, unadjusted

    def __post_init__(self) -> None:
        index = self.close.index
        if not (index.is_monotonic_increasing and index.is_unique):
            raise ValueError("sessions must be ascending and unique")
        for name in FIELDS:
            frame = getattr(self, name)
            if not (frame.index.equals(index) and frame.columns.equals(self.close.columns)):
                raise ValueError(f"{name} and close must share sessions and tickers")

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """(T,) session dates, ascending and unique."""
        return pd.DatetimeIndex(self.close.index)

    @property
    def tickers(self) -> list[str]:
        """(K,) tickers, in column order."""
        return [str(ticker) for ticker in self.close.columns]

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> "Prices":
        """The same change to every field's (T, K) frame."""
        return Prices(**{name: change(getattr(self, name)) for name in FIELDS})

    def upto(self, session: pd.Timestamp) -> "Prices":
        """Prices as known after that session's close."""
        return self.map(lambda frame: frame.loc[:session])

    def of(self, tickers: Sequence[str]) -> "Prices":
        """These tickers alone, in this order, on the same sessions."""
        return self.map(lambda frame: frame[list(tickers)])

    def on(self, sessions: pd.DatetimeIndex | slice) -> "Prices":
        """These sessions alone; a slice is of positions."""
        if isinstance(sessions, slice):
            return self.map(lambda frame: frame.iloc[sessions])
        return self.map(lambda frame: frame.loc[sessions])

    @staticmethod
    def join(bars: Mapping[str, pd.DataFrame]) -> "Prices":
        """Join tables of bars, one per ticker, on their session dates."""
        joined = {
            name: pd.concat({ticker: table[name] for ticker, table in bars.items()}, axis=1)
            .sort_index()
            .rename_axis(index="date", columns=None)
            for name in FIELDS
        }
        return Prices(**joined)

    def bars(self, ticker: str) -> pd.DataFrame:
        """One ticker's (sessions traded, 6) table of bars, without the sessions it missed."""
        table = pd.DataFrame({name: getattr(self, name)[ticker] for name in FIELDS})
        return table.dropna()


@dataclass(frozen=True, eq=False)
class Spans:
    """The times of N samples, each (N,): feature_start <= decision < label_start <= label_end.

    `feature_start` and `decision` are the first and last session of the window; the label is about
    `label_start` .. `label_end`, both NaT where that future is not known yet.
    """

    ticker: NDArray[np.str_]
    feature_start: Dates
    decision: Dates
    label_start: Dates
    label_end: Dates

    def __len__(self) -> int:
        return len(self.decision)

    def __getitem__(self, rows: Rows | slice | Bools) -> "Spans":
        return Spans(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Samples:
    """N windows over the rows of all tickers, never materialised.

    The window of sample i is `rows[last[i]-L+1 : last[i]+1]`: L sessions of one ticker, the last of
    which is its decision.
    """

    spans: Spans
    rows: Array  # (R, F) features of all tickers, one ticker after the other
    last: Rows  # (N,) position in `rows` of the decision session
    target: Array  # (N, O): class, 0/1, return, or h returns; NaN: not known yet
    lookback: int
    features: tuple[str, ...]  # (F,) names, in the order the model reads them

    def __len__(self) -> int:
        return len(self.last)


@dataclass(frozen=True)
class Boundary:
    """First session of each part of a fold; a part ends where the next begins."""

    number: int
    training: pd.Timestamp
    validation: pd.Timestamp
    test: pd.Timestamp
    end: pd.Timestamp | None  # first session after the test part; None: it is open-ended


@dataclass(frozen=True, eq=False)
class Fold:
    """Positions in Samples: what trains, what chooses the epoch, what is judged."""

    number: int
    training: Rows
    validation: Rows
    test: Rows  # decisions without a known future included


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardisation learned on the training part alone."""

    mean: Array  # (F,)
    deviation: Array  # (F,) 1 where a feature never moved
    target_mean: float = 0.0
    target_deviation: float = 1.0  # 1 unless the target is a return


@dataclass(frozen=True)
class Thresholds:
    """Quantiles of a ticker's 20-session volatility, as a fraction per year."""

    median: float
    upper: float  # the 75 % quantile


@dataclass(frozen=True, eq=False)
class FoldTargets:
    """A fold, the targets as its training part defines them, and what is known at the decision."""

    fold: Fold
    target: Array  # (N, O)
    current: Array  # (N,) regime at the decision; NaN where none is predicted
    thresholds: Mapping[str, Thresholds]  # by ticker, as the training part defines them
    classes: tuple[str, ...] = REGIMES  # what the regimes are called


@dataclass(frozen=True, eq=False)
class Windows:
    """A model's samples, and what each fold makes of them."""

    samples: Samples  # with the targets of the last fold
    folds: tuple[FoldTargets, ...]  # in order of time

    def fold(self, number: int) -> tuple[Samples, FoldTargets]:
        """The samples with the targets of one fold, and that fold."""
        targets = self.folds[number]
        return replace(self.samples, target=targets.target), targets


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training samples led to; scores are accuracies, NaN for returns."""

    number: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    training_score: float
    validation_score: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained network: enough to predict with nothing else."""

    model: ModelConfig
    weights: Mapping[str, NDArray[np.float32]]  # of the best epoch
    scaler: Scaler
    thresholds: Mapping[str, Thresholds]  # by ticker; empty where no regime is predicted
    history: tuple[Epoch, ...]
    best: int  # number of the epoch whose weights these are
    fold: int
    seed: int  # derived from the run's seed, the model's name, the fold and the member
    trained_until: str  # last decision that trained, as YYYY-MM-DD
    temperature: float = 1.0  # divides the logits; learned on the validation part
    classes: tuple[str, ...] = REGIMES  # what the outputs of a regime model are called


@dataclass(frozen=True, eq=False)
class Backtest:
    """What a strategy would have earned, on T sessions and K tickers."""

    execution: str  # "next_open" or "close": when a decision was filled
    initial_capital: float
    equity: pd.Series  # (T,) marked at the close
    returns: pd.Series  # (T,) simple, net of everything
    weights: pd.DataFrame  # (T, K) fraction of equity held at the close
    turnover: pd.Series  # (T,) traded value / equity
    costs: pd.DataFrame  # (T, kinds) money, columns `rnntrade.trading.costs.COST_KINDS`
    trades: pd.DataFrame  # the ledger, one row a trade


@dataclass(frozen=True, eq=False)
class Predictions:
    """What networks predict of one fold or of several."""

    table: pd.DataFrame  # members of an ensemble averaged
    members: pd.DataFrame  # test rows of each member alone, told apart by `member`; may be empty
    attention: pd.DataFrame | None = None  # (K, L) of each ticker's newest window; None: no network


@dataclass(frozen=True, eq=False)
class Books:
    """A traded model: its decisions, its money, and what stands beside it."""

    probability: pd.DataFrame  # (T, K) of a rise
    target: pd.DataFrame  # (T, K) weights decided
    folds: pd.DataFrame  # (decisions, 1) fold of each
    strategy: Backtest
    other: Backtest  # filled at the other moment
    benchmark: Backtest  # buy and hold
    rules: Mapping[str, Backtest]  # strategies that learned nothing
    cost_cases: pd.DataFrame  # (T, cases) returns; columns (bps, "strategy" or "buy_and_hold")
    members: pd.DataFrame  # (T, members) returns of each member traded alone; may have no column
