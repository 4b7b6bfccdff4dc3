"""Whether the inputs of a model still look like those that it learned from.

The population stability index (PSI) compares the shares of recent values in the deciles of the
training part with a tenth each.  Its usual limit of 0.25 is made for independent values, which a
market's inputs are not: sixty sessions of a 20-session volatility are worth a handful of values and
fill a few deciles.  On a made-up market that never changes, a model of three inputs is above 0.25
in every look at sixty sessions.  So an input has drifted only if its PSI is above the limit AND
above that of every stretch of the same length within the training part, each against the rest of
it.  Deciles do not see how far outside a value lies, and some inputs stay in one for months: an
input has drifted, too, if most recent values lie outside of all that trained.

Measured on that market (`benchmarks/drift.py`: one ticker, five years of training, a look a week):

    inputs of the model                   1      3     20
    false alarms, of looks              4 %    7 %   12 %
    of years                           23 %   34 %   58 %
    found: returns three times larger  70 %   81 %   88 %
    found: a unit changed, or stuck   100 %  100 %  100 %

On real prices (both indices of the sample) it is called in 6, 8 and 16 % of looks.

What this rule misses is a change no larger than those that the training part itself went through.
A false alarm costs a retraining, whose challenger must still win.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rnntrade.config import ProductionConfig

SMALLEST_SHARE = 1e-4
DECILES = np.arange(1, 10) / 10.0
STEP = 5  # sessions from the start of one stretch to that of the next
FEWEST_STRETCHES = 5  # that do not overlap: fewer do not tell what is usual
MOST = 0.5  # of recent values, that lie outside of all that trained
ENOUGH = 0.9  # of a stretch's rows, for recent ones to be compared with it

Floats = NDArray[np.float64]


def population_stability(
    expected_share: ArrayLike, actual_share: ArrayLike, smallest: ArrayLike = SMALLEST_SHARE
) -> Floats:
    """∑ (actual - expected) ln(actual / expected) over bins; 0 where the shares are the same.

    expected_share, actual_share  (..., B) shares of the same bins
    smallest                      what an empty bin counts as; if empty in both it adds nothing
    returns                       (...,)
    source                        Siddiqi (2006), Credit Risk Scorecards
    """
    if np.shape(expected_share) != np.shape(actual_share):
        raise ValueError(
            f"shares of the same bins are wanted: {np.shape(expected_share)}, "
            f"{np.shape(actual_share)}"
        )
    expected, actual = np.maximum(expected_share, smallest), np.maximum(actual_share, smallest)
    stability: Floats = ((actual - expected) * np.log(actual / expected)).sum(axis=-1)
    return stability


@dataclass(frozen=True)
class Reference:
    """What F inputs looked like in the training part."""

    names: tuple[str, ...]  # (F,)
    edges: tuple[tuple[float, ...], ...]  # by input: deciles, equal ones once; a bin ends with them
    shares: tuple[tuple[float, ...], ...]  # by input: of each bin
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    usual: tuple[float, ...] | None  # the largest PSI of a stretch; None: training was too short
    sessions: int  # in a stretch
    rows: int  # in the shortest stretch, those of all tickers

    @staticmethod
    def of(
        rows: ArrayLike, names: tuple[str, ...], session: ArrayLike, config: ProductionConfig
    ) -> "Reference":
        """Describe the training part.

        rows     (n, F) every input of every ticker and session, known ones
        session  (n,) date of each row, in any order
        """
        values = _whole(rows, len(names))
        edges = tuple(_edges(column) for column in values.T)
        counts = _counts(values, edges, np.unique(np.asarray(session), return_inverse=True)[1])
        length, total = config.drift_sessions, counts.sum(axis=0)
        usual, fewest = None, 0
        if len(counts) >= FEWEST_STRETCHES * length:
            until = np.concatenate([np.zeros_like(counts[:1]), counts.cumsum(axis=0)])
            starts = np.arange(0, len(counts) - length + 1, STEP)
            within = until[starts + length] - until[starts]  # (stretches, F, B)
            held = within.sum(axis=2, keepdims=True)
            rest = (total - within) / (len(values) - held)
            psi = population_stability(rest, within / held, 0.5 / held)  # (stretches, F)
            usual = tuple(psi.max(axis=0).tolist())
            fewest = int(held.min())
        shares = [total[i, : len(cuts) + 1] / len(values) for i, cuts in enumerate(edges)]
        return Reference(
            tuple(names),
            edges,
            tuple(tuple(share.tolist()) for share in shares),
            tuple(values.min(axis=0).tolist()),
            tuple(values.max(axis=0).tolist()),
            usual,
            length,
            fewest,
        )


def feature_drift(
    reference: Reference, recent_rows: ArrayLike, config: ProductionConfig
) -> pd.DataFrame:
    """(F, 5) by input: feature, psi, limit, out_of_range, drifted.

    recent_rows  (n, F) of the newest sessions, as many as the reference's stretches have
    returns      limit: the larger of config.drift_psi and the largest of the training part; NaN,
                 and nothing has drifted, where that is not known or the rows are fewer than 90 % of
                 a stretch; out_of_range: share of rows outside of all that trained
    """
    recent = _whole(recent_rows, len(reference.names))
    now = _counts(recent, reference.edges, np.zeros(len(recent), dtype=np.int64))[0]
    psi = [
        float(
            population_stability(share, now[place, : len(share)] / len(recent), 0.5 / len(recent))
        )
        for place, share in enumerate(reference.shares)
    ]
    limit = np.full(len(psi), np.nan)
    if reference.usual is not None and len(recent) >= ENOUGH * reference.rows:
        limit = np.maximum(reference.usual, config.drift_psi)
    outside = (recent < np.array(reference.minimum)) | (recent > np.array(reference.maximum))
    share_outside = outside.mean(axis=0)
    return pd.DataFrame(
        {
            "feature": reference.names,
            "psi": psi,
            "limit": limit,
            "out_of_range": share_outside,
            "drifted": (np.array(psi) > limit) | (np.isfinite(limit) & (share_outside > MOST)),
        }
    )


def out_of_range(reference: Reference, newest_rows: ArrayLike, margin: float) -> dict[str, float]:
    """Return inputs that lie farther outside of the training part than any rule was learned for.

    newest_rows  (n, F) that a decision is made from; missing and infinite ones lie outside
    margin       spans (maximum - minimum) of the training part that a value may lie outside of it
    returns      input -> the value that lies farthest outside
    """
    newest = np.asarray(newest_rows, dtype=float)
    low, high = np.array(reference.minimum), np.array(reference.maximum)
    beyond = np.maximum(low - newest, newest - high)  # (n, F)
    beyond = np.where(np.isfinite(newest), beyond, np.inf)
    worst, outside = beyond.argmax(axis=0), beyond.max(axis=0) > margin * (high - low)
    return {
        name: float(newest[worst[place], place])
        for place, name in enumerate(reference.names)
        if outside[place]
    }


def _whole(rows: ArrayLike, width: int) -> Floats:
    values = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != width or len(values) == 0:
        raise ValueError(f"rows of {width} inputs are wanted, not an array of {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("rows have missing values: give those of whole windows")
    return values


def _edges(column: Floats) -> tuple[float, ...]:
    """Deciles; around a value that never moved, so that any other one lies in another bin."""
    if np.ptp(column) == 0.0:
        return (float(np.nextafter(column[0], -np.inf)), float(column[0]))
    return tuple(np.unique(np.quantile(column, DECILES)).tolist())


def _counts(
    values: Floats, edges: tuple[tuple[float, ...], ...], session: NDArray[np.int64]
) -> Floats:
    """(T, F, B) rows by session, input and bin; where bins are fewer the last are empty."""
    bins = 1 + max(len(cuts) for cuts in edges)
    counts = np.zeros((int(session.max()) + 1, len(edges), bins))
    for place, cuts in enumerate(edges):
        np.add.at(counts[:, place], (session, np.searchsorted(cuts, values[:, place])), 1.0)
    return counts
