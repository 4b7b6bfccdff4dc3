"""What questions about classes share: probabilities in, scores and baselines out.

truth          (N,) class 0 .. C-1
probabilities  (N, C), rows sum to 1
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.evaluation import classification
from rnntrade.evaluation.significance import Significance, mcnemar_by_session
from rnntrade.protocols import ScoreTables

Array = NDArray[np.float64]
Rows = Mapping[str, pd.DataFrame]
Found = list[tuple[str, Significance]]


def wrong(truth: Array, probabilities: Array) -> Array:
    """(N,) 1 where the likeliest class did not come, else 0."""
    return np.asarray(probabilities.argmax(axis=1) != truth, dtype=np.float64)


def mcnemar(right: Mapping[str, NDArray[np.bool_]], rivals: Sequence[str], name: str,
            session: NDArray[np.datetime64], horizon: int) -> Found:
    """McNemar's test of the network against each rival that was predicted."""
    return [
        (rival, mcnemar_by_session(right[name], right[rival], session, horizon))
        for rival in rivals
        if rival in right
    ]


def score_tables(
    truth: Mapping[str, Array],
    probabilities: Mapping[str, Array],
    name: str,
    classes: tuple[str, ...],
    more: Mapping[str, Mapping[str, float]],
) -> ScoreTables:
    """Every source's scores, and the network's tables.

    more  further scores by source
    """
    scores = {
        source: {**classification.scores(truth[source], each), **more.get(source, {})}
        for source, each in probabilities.items()
    }
    own, came = probabilities[name], truth[name]
    return ScoreTables(
        scores=pd.DataFrame.from_dict(scores, orient="index").rename_axis("source"),
        classes=classification.class_table(came, own, classes),
        confusion=classification.confusion(came, own, classes),
        reliability=classification.reliability(came, own),
    )
