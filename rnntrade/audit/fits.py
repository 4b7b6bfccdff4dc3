"""What a stored fit says of itself, against the samples that it may have learned from."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from rnntrade.audit.findings import Audited, Finding
from rnntrade.config import ModelConfig
from rnntrade.models.calibration import fit_temperature
from rnntrade.samples.files import FoldTargets
from rnntrade.samples.scaling import fit_scaler
from rnntrade.types import REGIMES, Fit, Samples

LOSS_TOLERANCE = 1e-3  # of the loss: it was added up in single precision
TEMPERATURE_TOLERANCE = 0.02  # the loss is flat around its best temperature
SMALLEST = 1e-30  # probability whose logarithm is taken

Array = NDArray[np.float64]


def audit_fit_record(
    fit: Fit,
    model: ModelConfig,
    samples: Samples,
    targets: FoldTargets,
    validation: Array,
    who: str,
) -> Audited:
    """Scaler, thresholds, epoch and temperature are those of the fold's own parts.

    validation  (n, O) what the fit predicts of the fold's validation part
    who         model and fold, for the findings
    """
    rows = targets.fold.training
    trained = rows[np.isfinite(targets.target[rows]).all(axis=1)]
    due = fit_scaler(samples, trained, scale_target=model.task in {"return", "forecast"})
    findings = []

    def note(stage: str, what: str, kind: str, told: object, right: object) -> None:
        detail = f"{what} is {told}, expected {right}"
        findings.append(Finding("record", stage, f"{who} {what}", "", kind, detail))

    for name in ("mean", "deviation", "target_mean", "target_deviation"):
        told, right = (np.atleast_1d(getattr(each, name)) for each in (fit.scaler, due))
        if told.shape != right.shape or (told != right).any():
            kind = "scaler of other sessions than the training part's"
            note("scaler", name, kind, told.tolist(), right.tolist())
    if fit.model != model or fit.fold != targets.fold.number:
        note("fit", "model", "fit of another model or fold", fit.model.name, model.name)
    if repr(sorted(fit.thresholds.items())) != repr(sorted(targets.thresholds.items())):  # NaN too
        kind = "thresholds of other sessions than the training part's"
        note("thresholds", "thresholds", kind, dict(fit.thresholds), dict(targets.thresholds))
    until = str(samples.spans.decision[trained].max().astype("datetime64[D]"))
    if fit.trained_until != until:
        note("fit", "trained_until", "trained on other sessions", fit.trained_until, until)

    losses = [epoch.validation_loss for epoch in fit.history]
    if fit.best != int(np.argmin(losses)):
        kind = "epoch not chosen by the validation loss"
        note("fit", "best epoch", kind, fit.best, int(np.argmin(losses)))
    truth = targets.target[targets.fold.validation]
    logits = _logits(fit, validation)
    loss = _loss(fit, model, logits, truth, targets.target[trained])
    if not np.isclose(loss, losses[fit.best], rtol=LOSS_TOLERANCE, atol=1e-6):
        kind = "epoch chosen on other samples than the validation part"
        note("fit", "validation loss", kind, losses[fit.best], loss)
    right_temperature = 1.0
    if model.task in {"regime", "direction"}:
        right_temperature = fit_temperature(logits, truth[:, 0])
    if not np.isclose(fit.temperature, right_temperature, rtol=TEMPERATURE_TOLERANCE):
        kind = "calibrated on other samples than the validation part"
        note("calibration", "temperature", kind, fit.temperature, right_temperature)
    return Audited(
        {"scaler": 2 * len(due.mean) + 2, "fit": 4, "thresholds": 1, "calibration": 1},
        tuple(findings),
    )


def _logits(fit: Fit, validation: Array) -> Array:
    """The network's own output, up to a constant a row; standardised returns."""
    if fit.model.task == "regime":
        return np.log(np.maximum(validation, SMALLEST)) * fit.temperature
    if fit.model.task == "direction":
        up, down = (np.maximum(each, SMALLEST) for each in (validation, 1.0 - validation))
        return (np.log(up) - np.log(down)) * fit.temperature
    return (validation - fit.scaler.target_mean) / fit.scaler.target_deviation


def _loss(fit: Fit, model: ModelConfig, output: Array, truth: Array, trained: Array) -> float:
    """The validation loss that training should have seen at its best epoch."""
    known = np.isfinite(truth).all(axis=1)
    said, true = output[known], truth[known]
    if model.task == "direction":
        return float((np.logaddexp(0.0, said) - true * said).mean())
    if model.task == "regime":
        counts = np.bincount(trained[:, 0].astype(int), minlength=len(REGIMES))
        weights = np.ones(len(REGIMES))
        if model.class_weights:
            seen = counts > 0
            weights = np.where(seen, counts.sum() / (seen.sum() * np.maximum(counts, 1)), 1.0)
        classes = true[:, 0].astype(int)
        each = log_softmax(said, axis=1)[np.arange(len(said)), classes]
        return float(-(weights[classes] * each).sum() / weights[classes].sum())
    scaled = (true - fit.scaler.target_mean) / fit.scaler.target_deviation
    return float(((said - scaled) ** 2).mean())
