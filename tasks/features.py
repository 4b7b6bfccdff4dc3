"""Features as tasks, one ticker at a time, so that one ticker's news touches no other."""

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.features.sets import ticker_features
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_bars


@cached_task("compute_indicators-{ticker}")
def compute_indicators(ticker: str, prices: Ref, sessions_per_year: int = SESSIONS_PER_YEAR) -> Ref:
    """Write every feature there is, on the sessions that the ticker traded."""
    with publish("indicators") as out:
        features = ticker_features(read_bars(prices), sessions_per_year=sessions_per_year)
        features.to_parquet(out.folder / "features.parquet")
    return out.ref
