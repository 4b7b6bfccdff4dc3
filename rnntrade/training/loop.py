"""The training loop, written out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from rnntrade.config import ModelConfig, TrainingConfig
from rnntrade.errors import TrainingError
from rnntrade.models.build import build
from rnntrade.models.seq2seq import teacher_forcing_ratio
from rnntrade.objectives.lookup import objective_of
from rnntrade.samples.windows import fit_scaler
from rnntrade.training.checkpoints import Progress, identify, resume, save_checkpoint
from rnntrade.training.devices import reproducible, resolve_device
from rnntrade.training.parts import answer, answers, check_inputs, known_rows, to_device
from rnntrade.types import REGIMES, Epoch, Fit, Fold, Samples, Thresholds


def train(
    samples: Samples,
    fold: Fold,
    model: ModelConfig,
    config: TrainingConfig,
    *,
    seed: int,
    device: str = "auto",
    thresholds: Mapping[str, Thresholds] = MappingProxyType({}),
    classes: tuple[str, ...] = REGIMES,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Minimise the task's loss until validation stops improving; keep the best epoch's weights.

    Learns from `fold.training`, chooses learning rate and epoch by `fold.validation`, and reads
    nothing of `fold.test`; samples without a known target are left out.  The same samples, configs
    and seed give the same bits on one machine, interrupted or not.

    seed        of weights, dropout, teacher forcing and order, see `derive_seed`
    thresholds  learned by the labels, kept in the fit; so are the names of their classes
    checkpoint  file to go on from, and to write after each epoch; the caller removes it
    on_epoch    sees each epoch trained now (not those of a checkpoint), after its checkpoint
    returns     weights of the epoch with the lowest validation loss, epochs count from 0, and the
                temperature that suits the validation part
    errors      DataError without samples, TrainingError for a loss that is not finite
    """
    where = f"{model.name}, fold {fold.number}"
    check_inputs(model, samples)
    rows_trained = known_rows(samples, fold.training, f"{where}: training")
    rows_validated = known_rows(samples, fold.validation, f"{where}: validation")
    objective = objective_of(model, classes)
    scaler = fit_scaler(samples, rows_trained, scale_target=not objective.classes)
    device = resolve_device(device)
    training, validation = to_device(samples, (rows_trained, rows_validated), scaler, device)

    with reproducible(seed, device):
        network = build(model).to(device)
        if measure := getattr(network, "measure", None):  # a hook of networks that convert units
            measure(scaler)
        weights = objective.weights(training.target) if model.class_weights else None
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=config.schedule_factor, patience=config.schedule_patience
        )
        mixed = device == "cuda"
        amp = torch.amp.GradScaler("cuda", enabled=mixed)
        shuffle = torch.Generator().manual_seed(seed)
        history: list[Epoch] = []
        best_weights: dict[str, Tensor] = {}
        progress = Progress(network, optimizer, schedule, amp, shuffle, best_weights, history)
        identity = identify(
            {"model": asdict(model), "training": asdict(config), "device": device, "seed": seed},
            {
                "rows": training.rows,
                "training": training.last,
                "training_target": training.target,
                "validation": validation.last,
                "validation_target": validation.target,
            },
        )
        if checkpoint is not None:
            resume(checkpoint, identity, progress, device)

        while len(history) < model.max_epochs:
            number = len(history)
            if history and number - _best(history).number > config.patience:
                break
            rate = optimizer.param_groups[0]["lr"]
            forcing = teacher_forcing_ratio(number, model.max_epochs)

            network.train()
            order = torch.randperm(len(training), generator=shuffle).to(device)
            losses, scores, sizes = [], [], []
            for batch in order.split(config.batch_size):
                x, y = training.windows(batch), training.target[batch]  # (B, L, F), (B, O)
                with torch.autocast("cuda", enabled=mixed):
                    output = answer(network, x, y, forcing)  # (B, O)
                    loss = objective.loss(output, y, weights)
                optimizer.zero_grad()
                amp.scale(loss).backward()
                amp.unscale_(optimizer)
                nn.utils.clip_grad_norm_(network.parameters(), config.gradient_norm)
                amp.step(optimizer)
                amp.update()
                losses.append(loss.detach())
                scores.append(objective.accuracy(output.detach(), y))
                sizes.append(len(batch))
            share = np.array(sizes) / len(training)  # (batches,)
            batch_losses = torch.stack(losses).cpu().double().numpy()  # (batches,)
            if not np.isfinite(batch_losses).all():
                first = int(np.flatnonzero(~np.isfinite(batch_losses))[0])
                raise _not_finite(f"{where}, epoch {number + 1}, batch {first + 1}: training")

            network.eval()
            output = answers(network, validation)  # (n, O)
            epoch = Epoch(
                number=number,
                learning_rate=rate,
                training_loss=float(share @ batch_losses),
                validation_loss=objective.loss(output, validation.target, weights).item(),
                training_score=float(share @ torch.stack(scores).cpu().double().numpy()),
                validation_score=objective.accuracy(output, validation.target).item(),
            )
            if not np.isfinite(epoch.validation_loss):
                raise _not_finite(f"{where}, epoch {number + 1}, after its last batch: validation")
            schedule.step(epoch.validation_loss)
            history.append(epoch)
            if _best(history) is epoch:
                best_weights.update({k: v.clone() for k, v in network.state_dict().items()})
            if checkpoint is not None:
                save_checkpoint(checkpoint, identity, progress, device)
            on_epoch(epoch)

        network.load_state_dict(best_weights)
        network.eval()
        logits, target = answers(network, validation), validation.target
        temperature = objective.temperature(
            logits.detach().cpu().double().numpy(), target.cpu().double().numpy()
        )

    return Fit(
        model=model,
        weights={name: best_weights[name].cpu().numpy() for name in sorted(best_weights)},
        scaler=scaler,
        thresholds=dict(thresholds),
        history=tuple(history),
        best=_best(history).number,
        fold=fold.number,
        seed=seed,
        trained_until=str(samples.spans.decision[rows_trained].max().astype("datetime64[D]")),
        temperature=temperature,
        classes=classes,
    )


def _best(history: list[Epoch]) -> Epoch:
    """Return the first epoch with the lowest validation loss."""
    return min(history, key=lambda epoch: epoch.validation_loss)


def _not_finite(where: str) -> TrainingError:
    """Return the error; people count epochs and batches from 1."""
    return TrainingError(
        f"{where} loss is not finite.  Check the prices of these sessions, "
        "or lower training.learning_rate or training.gradient_norm."
    )
