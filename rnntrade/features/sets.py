"""Features by name.  Adding a feature is adding a line."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial

import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.errors import ConfigError
from rnntrade.features import indicators as i

FEATURES: Mapping[str, Callable[..., pd.DataFrame]] = {
    "returns": i.simple_return,
    "log_returns": i.log_return,
    "sma_10": partial(i.sma_ratio, sessions=10),
    "sma_20": partial(i.sma_ratio, sessions=20),
    "sma_50": partial(i.sma_ratio, sessions=50),
    "ema_12": partial(i.ema_ratio, span=12),
    "ema_26": partial(i.ema_ratio, span=26),
    "macd": i.macd,
    "macd_signal": i.macd_signal,
    "macd_hist": i.macd_histogram,
    "rsi": i.rsi,
    "bb_upper": partial(i.bollinger_band, deviations=2.0),
    "bb_lower": partial(i.bollinger_band, deviations=-2.0),
    "bb_width": i.bollinger_width,
    "bb_position": i.bollinger_position,
    "volatility_10": partial(i.volatility, sessions=10),
    "volatility_20": partial(i.volatility, sessions=20),
    "momentum_5": partial(i.simple_return, sessions=5),
    "momentum_10": partial(i.simple_return, sessions=10),
    "momentum_20": partial(i.simple_return, sessions=20),
    "return_sum_20": partial(i.return_sum, sessions=20),
}
INDICATORS = tuple(FEATURES)[:-1]  # published ones; the last is what regimes go by
ANNUAL = ("volatility_10", "volatility_20")  # whose unit is a year


def ticker_features(
    bars: pd.DataFrame,
    names: tuple[str, ...] = tuple(FEATURES),
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> pd.DataFrame:
    """One ticker's features.

    bars     (T, 6) table of bars, on the sessions that the ticker traded
    returns  (T, F), columns in the order of `names`
    errors   ConfigError for a name that is not in FEATURES
    """
    check_names(names)
    close, annual = bars[["close"]], {"sessions_per_year": sessions_per_year}
    columns = {n: FEATURES[n](close, **(annual if n in ANNUAL else {}))["close"] for n in names}
    return pd.DataFrame(columns, bars.index)


def check_names(names: tuple[str, ...]) -> None:
    """Raise ConfigError, with a near name, for the first feature that does not exist."""
    for name in names:
        if name not in FEATURES:
            near = get_close_matches(name, FEATURES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(FEATURES)}."
            raise ConfigError(f"no feature {name!r}.  {hint}")
