"""What a stored fit says of itself, against the samples that it may have learned from."""

import numpy as np
from numpy.typing import NDArray

from rnntrade.audit.findings import Audited, Finding
from rnntrade.config import ModelConfig
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective
from rnntrade.samples.scaling import fit_scaler
from rnntrade.types import Fit, FoldTargets, Samples

LOSS_TOLERANCE = 1e-3  # of the loss: it was added up in single precision
TEMPERATURE_TOLERANCE = 0.02  # the loss is flat around its best temperature

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
    objective = objective_of(model, targets.classes)
    rows = targets.fold.training
    trained = rows[np.isfinite(targets.target[rows]).all(axis=1)]
    due = fit_scaler(samples, trained, scale_target=objective.scales_target)
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
    output = objective.output(validation, fit.scaler, fit.temperature)
    scaled, taught = (
        (each - fit.scaler.target_mean) / fit.scaler.target_deviation
        for each in (truth, targets.target[trained])
    )
    loss = _loss(objective, output, scaled, taught, model.class_weights)
    if not np.isclose(loss, losses[fit.best], rtol=LOSS_TOLERANCE, atol=1e-6):
        kind = "epoch chosen on other samples than the validation part"
        note("fit", "validation loss", kind, losses[fit.best], loss)
    right_temperature = objective.temperature(output, truth)
    if not np.isclose(fit.temperature, right_temperature, rtol=TEMPERATURE_TOLERANCE):
        kind = "calibrated on other samples than the validation part"
        note("calibration", "temperature", kind, fit.temperature, right_temperature)
    return Audited(
        {"scaler": 2 * len(due.mean) + 2, "fit": 4, "thresholds": 1, "calibration": 1},
        tuple(findings),
    )


def _loss(objective: Objective, output: Array, truth: Array, trained: Array, weigh: bool) -> float:
    """The validation loss that training should have seen at its best epoch.

    output, truth  (n, O) as the network gives and sees them; rows without a truth are left out
    trained        (m, O) the training part's, which the weights balance
    """
    import torch

    known = np.isfinite(truth).all(axis=1)
    said, true = (torch.from_numpy(np.ascontiguousarray(each[known])) for each in (output, truth))
    weights = objective.weights(torch.from_numpy(trained)) if weigh else None
    weights = None if weights is None else weights.double()
    return float(objective.loss(said, true, weights))
