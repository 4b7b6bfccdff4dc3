import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rnntrade.training.loop import train
from tests.training.made import FAST, TINY, assert_same_weights, made_samples

REGIME = TINY["regime_lstm"]


class Stop(Exception):
    """Somebody pulled the plug."""


def stop_after(number):
    def on_epoch(epoch):
        if epoch.number == number:
            raise Stop

    return on_epoch


@pytest.mark.parametrize("model", TINY.values(), ids=lambda model: model.name)
def test_an_interrupted_training_ends_with_the_weights_of_an_unbroken_one(model, tmp_path):
    model = replace(model, max_epochs=6)
    config = replace(FAST, schedule_patience=1, patience=2)
    samples, fold = made_samples(model)
    checkpoint = tmp_path / "checkpoint"
    unbroken = train(samples, fold, model, config, seed=1, device="cpu")
    for number in (0, 2):
        with pytest.raises(Stop):
            train(
                *(samples, fold, model, config),
                seed=1,
                device="cpu",
                checkpoint=checkpoint,
                on_epoch=stop_after(number),
            )
    told = []
    resumed = train(
        *(samples, fold, model, config),
        seed=1,
        device="cpu",
        checkpoint=checkpoint,
        on_epoch=lambda epoch: told.append(epoch.number),
    )
    assert_same_weights(resumed, unbroken)
    np.testing.assert_equal(
        [vars(epoch) for epoch in resumed.history], [vars(epoch) for epoch in unbroken.history]
    )
    assert resumed.best == unbroken.best
    assert told == list(range(3, len(unbroken.history)))


def test_a_lowered_learning_rate_and_a_stalled_schedule_are_resumed_too(tmp_path):
    model = replace(REGIME, max_epochs=12)
    config = replace(FAST, schedule_patience=2, patience=12)
    samples, fold = made_samples(model)
    samples = replace(samples, target=np.roll(samples.target, 40))  # nothing to learn: it stalls
    unbroken = train(samples, fold, model, config, seed=1, device="cpu")
    rates = [epoch.learning_rate for epoch in unbroken.history]
    lowered = [number for number in range(1, 12) if rates[number] < rates[number - 1]]
    assert len(lowered) >= 2
    # One epoch after the rate fell, and one before it falls again.
    for number in (lowered[0], lowered[1] - 2):
        checkpoint = tmp_path / str(number)
        for on_epoch in (stop_after(number), lambda epoch: None):
            with suppress(Stop):
                resumed = train(
                    *(samples, fold, model, config),
                    seed=1,
                    device="cpu",
                    checkpoint=checkpoint,
                    on_epoch=on_epoch,
                )
        assert resumed.history == unbroken.history
        assert_same_weights(resumed, unbroken)


def test_a_finished_training_is_read_back_without_training(tmp_path):
    samples, fold = made_samples(REGIME)
    checkpoint, told = tmp_path / "checkpoint", []
    first, second = (
        train(
            *(samples, fold, REGIME, FAST),
            seed=1,
            device="cpu",
            checkpoint=checkpoint,
            on_epoch=told.append,
        )
        for _ in range(2)
    )
    assert_same_weights(first, second)
    assert len(told) == REGIME.max_epochs


KILLED = """
import os, signal, sys
from pathlib import Path
from rnntrade.training.loop import train
from tests.training.made import FAST, TINY, made_samples

def on_epoch(epoch):
    if epoch.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)

model = TINY["regime_lstm"]
checkpoint = Path(sys.argv[1])
samples, fold = made_samples(model)
train(
    samples, fold, model, FAST, seed=1, device="cpu", checkpoint=checkpoint, on_epoch=on_epoch
)
"""


def test_a_killed_process_is_resumed_by_another_to_the_same_weights(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(checkpoint)], check=False)
    assert killed.returncode == -9
    samples, fold = made_samples(REGIME)
    told = []
    resumed = train(
        *(samples, fold, REGIME, FAST),
        seed=1,
        device="cpu",
        checkpoint=checkpoint,
        on_epoch=lambda epoch: told.append(epoch.number),
    )
    assert told == [2, 3]
    assert_same_weights(resumed, train(samples, fold, REGIME, FAST, seed=1, device="cpu"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def interrupted(checkpoint, *, model=REGIME, config=FAST, seed=1, samples=None):
    made, fold = made_samples(model)
    with pytest.raises(Stop):
        train(
            *(samples or made, fold, model, config),
            seed=seed,
            device="cpu",
            checkpoint=checkpoint,
            on_epoch=stop_after(1),
        )


def trained(checkpoint):
    samples, fold = made_samples(REGIME)
    told = []
    fit = train(
        *(samples, fold, REGIME, FAST),
        seed=1,
        device="cpu",
        checkpoint=checkpoint,
        on_epoch=lambda epoch: told.append(epoch.number),
    )
    return fit, told


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"config": replace(FAST, learning_rate=0.02)},
        {"model": replace(REGIME, dropout=0.5)},
        {"samples": made_samples(REGIME, seed=5)[0]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_checkpoint_of_another_training_is_ignored_and_told(other, tmp_path, caplog):
    interrupted(tmp_path / "checkpoint", **other)
    caplog.clear()
    fit, told = trained(tmp_path / "checkpoint")
    assert told == [0, 1, 2, 3]
    assert "another model, data or seed" in caplog.text
    assert_same_weights(fit, trained(None)[0])


def flip(path):
    """One bit of the last tensor: still good safetensors."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04\x95pickle"),
        lambda path: save_file(load_file(path), path),  # lost its metadata
    ],
    ids=["one bit", "cut off", "empty", "pickle", "no metadata"],
)
def test_a_damaged_checkpoint_is_ignored_and_told(damage, tmp_path, caplog):
    interrupted(tmp_path / "checkpoint")
    damage(tmp_path / "checkpoint")
    fit, told = trained(tmp_path / "checkpoint")
    assert told == [0, 1, 2, 3]
    assert "is damaged" in caplog.text
    assert_same_weights(fit, trained(None)[0])
