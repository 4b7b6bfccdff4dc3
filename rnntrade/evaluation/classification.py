"""How well probabilities of classes met what came.

truth          (N,) class 0 .. C-1, every one known
probabilities  (N, C), rows sum to 1; the likeliest class is predicted, of equal ones the lower
Every score is over the fixed set of C classes, occur they or not.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SMALLEST_PROBABILITY = 1e-15  # in log losses: a certainty that failed costs 34.5, not infinity


def scores(truth: NDArray[np.float64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Accuracy and its kin, by name; undefined ones are NaN.

    balanced_accuracy  mean recall of the classes that occur
    macro_f1           mean F1 of all C classes; one never predicted and never true counts as 0
    brier              mean squared error of the probabilities, summed over classes; with two
                       classes that of the second alone
    ece                expected calibration error: the gaps between confidence and accuracy of
                       `reliability` in 10 bins, averaged over samples
    auc                two classes only
    """
    from sklearn.metrics import (  # takes a second
        cohen_kappa_score,
        matthews_corrcoef,
        roc_auc_score,
    )

    true = truth.astype(int)
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(probabilities.shape[1])
    _, recall, f1, support = class_table(truth, probabilities, list(map(str, classes))).to_numpy().T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where all is one class kappa is NaN and Matthews 0
        kappa = cohen_kappa_score(true, predicted, labels=classes)
        matthews = matthews_corrcoef(true, predicted)
    of_truth = probabilities[np.arange(len(true)), true]
    squared = (probabilities - np.eye(len(classes))[true]) ** 2
    result = {
        "accuracy": float(np.mean(true == predicted)),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1.mean()),
        "cohen_kappa": float(kappa),
        "matthews": float(matthews),
        "log_loss": float(-np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1.0)).mean()),
        "brier": float(squared.sum(axis=1).mean()),
        "ece": calibration_error(reliability(truth, probabilities)),
    }
    if len(classes) == 2:
        result["brier"] /= 2.0
        both = np.unique(true).size == 2
        result["auc"] = float(roc_auc_score(true, probabilities[:, 1])) if both else float("nan")
    return result


def class_table(
    truth: NDArray[np.float64], probabilities: NDArray[np.float64], names: Sequence[str]
) -> pd.DataFrame:
    """(C, 4) precision, recall, f1 and support by class; 0 where nothing was predicted or true."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        truth.astype(int),
        probabilities.argmax(axis=1),
        labels=np.arange(len(names)),
        zero_division=0,
    )
    table = pd.DataFrame(
        dict(zip(("precision", "recall", "f1", "support"), columns, strict=True)),
        index=pd.Index(names, name="class"),
    )
    return table.astype({"support": int})


def confusion(
    truth: NDArray[np.float64], probabilities: NDArray[np.float64], names: Sequence[str]
) -> pd.DataFrame:
    """(C, C) counts: what was true in rows, what was predicted in columns."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(
        truth.astype(int), probabilities.argmax(axis=1), labels=np.arange(len(names))
    )
    return pd.DataFrame(
        counts, index=pd.Index(names, name="true"), columns=pd.Index(names, name="predicted")
    )


def reliability(
    truth: NDArray[np.float64], probabilities: NDArray[np.float64], bins: int = 10
) -> pd.DataFrame:
    """(bins that occur, 5) how often what was said with some confidence came true.

    The confidence is the probability of the predicted class; with two classes it is that of the
    second (up), whichever was predicted, and the accuracy is how often it came.
    bins     of equal width, above `low` and up to `high`; 0 belongs to the first
    returns  low, high, confidence (mean), accuracy (share), count
    source   Guo et al. (2017), On Calibration of Modern Neural Networks
    """
    true = truth.astype(int)
    if probabilities.shape[1] == 2:
        confidence, came = probabilities[:, 1], true == 1
    else:
        confidence, came = probabilities.max(axis=1), true == probabilities.argmax(axis=1)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    table = pd.DataFrame({"confidence": confidence, "accuracy": came.astype(float)})
    grouped = table.groupby(place)
    result = grouped.mean()
    result.insert(0, "low", edges[:-1][result.index])
    result.insert(1, "high", edges[1:][result.index])
    result["count"] = grouped.size()
    return result.rename_axis("bin")


def calibration_error(table: pd.DataFrame) -> float:
    """Mean gap between confidence and accuracy of a reliability table, over its samples."""
    gap = (table["confidence"] - table["accuracy"]).abs()
    return float((gap * table["count"]).sum() / table["count"].sum())


def transition_recall(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], current: NDArray[np.float64]
) -> float:
    """Share of true changes of regime that were predicted, the new regime named right.

    truth, predicted, current  (N,) the class that came, that was predicted, and at the decision;
                               NaN: not known, left out
    returns                    0 for persistence; NaN where nothing changed
    """
    known = np.isfinite(truth) & np.isfinite(predicted) & np.isfinite(current)
    changed = known & (truth != current)
    return float((predicted == truth)[changed].mean()) if changed.any() else float("nan")
