from dataclasses import replace

import numpy as np
import pytest
import torch

from rnntrade.config import TrainingConfig
from rnntrade.errors import ConfigError, DataError, TrainingError
from rnntrade.objectives.direction import Direction
from rnntrade.objectives.regime import Regime
from rnntrade.objectives.returns import Returns
from rnntrade.samples.windows import fit_scaler
from rnntrade.training import devices, loop
from rnntrade.training.devices import derive_seed, resolve_device
from rnntrade.training.loop import train
from rnntrade.training.predict import predict
from rnntrade.types import Thresholds
from tests.training.made import FAST, TINY, assert_same_weights, made_samples

REGIME, FORECAST = TINY["regime_lstm"], TINY["seq2seq_lstm"]
EVERY = pytest.mark.parametrize("model", TINY.values(), ids=lambda model: model.name)


def shuffled(samples):
    """Targets that have nothing to do with the windows: validation cannot improve for long."""
    known = np.flatnonzero(np.isfinite(samples.target[:, 0]))
    target = samples.target.copy()
    target[known] = target[np.random.default_rng(1).permutation(known)]
    return replace(samples, target=target)


@pytest.mark.parametrize("name", ["regime_lstm", "many_to_one_lstm", "attention_bilstm"])
def test_learns_what_is_there(name):
    model = replace(TINY[name], max_epochs=25)
    samples, fold = made_samples(model, sessions=300)
    fit = train(samples, fold, model, FAST, seed=1, device="cpu")
    rows = fold.test[np.isfinite(samples.target[fold.test, 0])]
    found = predict(fit, samples, rows)
    answer = found.argmax(axis=1) if model.task == "regime" else (found[:, 0] > 0.5)
    assert (answer == samples.target[rows, 0]).mean() > 0.75
    assert fit.history[fit.best].validation_score > 0.75


def test_learns_to_forecast_in_return_units():
    model = replace(FORECAST, max_epochs=30)
    samples, fold = made_samples(model, sessions=300)
    fit = train(samples, fold, model, FAST, seed=1, device="cpu")
    rows = fold.test[np.isfinite(samples.target[fold.test, 0])]
    errors = predict(fit, samples, rows) - samples.target[rows]
    assert (errors**2).mean() < 0.2 * samples.target[rows].var()
    assert np.isnan([epoch.validation_score for epoch in fit.history]).all()


@EVERY
def test_same_seed_same_weights_and_another_seed_other_weights(model):
    samples, fold = made_samples(model)
    one, same, other = (
        train(samples, fold, model, FAST, seed=seed, device="cpu") for seed in (1, 1, 2)
    )
    assert_same_weights(one, same)
    assert repr(one.history) == repr(same.history) != repr(other.history)  # NaN scores compare too
    assert any((one.weights[name] != other.weights[name]).any() for name in one.weights)


@EVERY
def test_nothing_of_the_test_part_is_read(model):
    samples, fold = made_samples(model)
    used = np.zeros(len(samples.rows), bool)
    for row in np.concatenate([fold.training, fold.validation]):
        used[samples.last[row] - model.lookback + 1 : samples.last[row] + 1] = True
    target = samples.target.copy()
    target[fold.test] = np.inf
    for garbage in (np.nan, 1e30):
        rows = np.where(used[:, None], samples.rows, garbage)
        broken = replace(samples, rows=rows, target=target)
        assert_same_weights(
            train(samples, fold, model, FAST, seed=1, device="cpu"),
            train(broken, fold, model, FAST, seed=1, device="cpu"),
        )


def test_samples_whose_future_is_not_known_neither_train_nor_validate():
    samples, fold = made_samples(REGIME)
    target = samples.target.copy()
    target[fold.training[:7]] = target[fold.validation[:3]] = np.nan
    fewer = replace(fold, training=fold.training[7:], validation=fold.validation[3:])
    assert_same_weights(
        train(replace(samples, target=target), fold, REGIME, FAST, seed=1, device="cpu"),
        train(samples, fewer, REGIME, FAST, seed=1, device="cpu"),
    )


def test_keeps_the_best_epoch_and_stops_when_validation_stalls():
    model = replace(REGIME, max_epochs=60)
    samples, fold = made_samples(model)
    samples = shuffled(samples)
    config = replace(FAST, patience=3)
    fit = train(samples, fold, model, config, seed=1, device="cpu")
    losses = [epoch.validation_loss for epoch in fit.history]
    assert fit.best == int(np.argmin(losses))
    assert len(losses) == fit.best + 1 + 3 < 60
    until_best = train(
        samples, fold, replace(model, max_epochs=fit.best + 1), config, seed=1, device="cpu"
    )
    assert_same_weights(fit, until_best)


def test_the_learning_rate_follows_validation_not_training(monkeypatch):
    seen = []
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau

    class Spy(plateau):
        def step(self, metrics):
            seen.append(metrics)
            super().step(metrics)

    monkeypatch.setattr(torch.optim.lr_scheduler, "ReduceLROnPlateau", Spy)
    model = replace(REGIME, max_epochs=30)
    samples, fold = made_samples(model)
    config = replace(FAST, schedule_patience=1, patience=30, schedule_factor=0.5)
    fit = train(shuffled(samples), fold, model, config, seed=1, device="cpu")
    assert seen == [epoch.validation_loss for epoch in fit.history]
    rates = [epoch.learning_rate for epoch in fit.history]
    assert rates[0] == 0.01
    assert sorted(rates, reverse=True) == rates
    assert rates[-1] < 0.005


def test_gradients_are_clipped_to_the_norm(monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def spy(optimizer, *arguments):
        gradients = [weight.grad for weight in optimizer.param_groups[0]["params"]]
        norms.append(torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients])).item())
        return step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    samples, fold = made_samples(REGIME)
    train(samples, fold, REGIME, replace(FAST, gradient_norm=0.01), seed=1, device="cpu")
    assert len(norms) == 4 * 4
    np.testing.assert_allclose(norms, 0.01, rtol=1e-3)


def test_the_decoder_learns_the_units_of_its_own_training_part():
    samples, fold = made_samples(FORECAST)
    fit = train(samples, fold, FORECAST, FAST, seed=1, device="cpu")
    factor, shift = fit.weights["units"]
    scaler = fit.scaler
    as_input = (0.02 - scaler.mean[0]) / scaler.deviation[0]
    as_target = (0.02 - scaler.target_mean) / scaler.target_deviation
    assert factor != 1.0
    assert as_input * factor + shift == pytest.approx(as_target, rel=1e-5)


def test_history_counts_epochs_from_zero_and_each_is_told():
    samples, fold = made_samples(REGIME)
    told = []
    fit = train(samples, fold, REGIME, FAST, seed=1, device="cpu", on_epoch=told.append)
    assert told == list(fit.history)
    assert [epoch.number for epoch in told] == [0, 1, 2, 3]


def test_a_fit_says_where_it_comes_from():
    samples, fold = made_samples(REGIME)
    thresholds = {"AAA": Thresholds(0.1, 0.2)}
    fit = train(samples, fold, REGIME, FAST, seed=7, device="cpu", thresholds=thresholds)
    assert (fit.model, fit.fold, fit.seed, fit.thresholds) == (REGIME, 2, 7, thresholds)
    assert fit.trained_until == str(samples.spans.decision[fold.training].max())[:10]
    expected = fit_scaler(samples, fold.training, scale_target=False)
    np.testing.assert_array_equal(fit.scaler.mean, expected.mean)
    assert all(weight.dtype == np.float32 for weight in fit.weights.values())


def test_the_caller_keeps_its_own_random_numbers_and_threads():
    samples, fold = made_samples(REGIME)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(samples, fold, REGIME, FAST, seed=1, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_teacher_forcing_is_given_by_epoch_to_training_batches_alone(monkeypatch):
    ratios = []
    real = loop.answer

    def spy(network, x, target=None, teacher_forcing=0.0):
        ratios.append(teacher_forcing)
        return real(network, x, target, teacher_forcing)

    monkeypatch.setattr(loop, "answer", spy)
    model = replace(FORECAST, max_epochs=4)
    samples, fold = made_samples(model)
    train(samples, fold, model, replace(FAST, batch_size=1000), seed=1, device="cpu")
    assert ratios == [1.0, 0.75, 0.5, 0.25]


def test_a_loss_that_is_not_finite_names_model_fold_epoch_and_batch(monkeypatch):
    calls = iter(range(1000))

    real = Regime.loss

    def loss(self, output, target, weights):
        return real(self, output, target, weights) * (np.nan if next(calls) == 6 else 1)

    monkeypatch.setattr(Regime, "loss", loss)
    samples, fold = made_samples(REGIME)
    batches = -(-len(fold.training) // 32)
    assert batches == 4  # so the seventh loss, after one for validation, is the second of epoch 2
    with pytest.raises(TrainingError, match="regime_lstm, fold 2, epoch 2, batch 2: training loss"):
        train(samples, fold, REGIME, FAST, seed=1, device="cpu")


def test_a_learning_rate_that_explodes_is_told_not_returned():
    model = TINY["many_to_one_lstm"]
    model = replace(model, task="return")
    samples, fold = made_samples(model)
    target = samples.target.copy()
    target[fold.validation] *= 1e30
    with pytest.raises(TrainingError, match=r"fold 2, epoch 1, after.*validation loss is not"):
        train(replace(samples, target=target), fold, model, FAST, seed=1, device="cpu")


@pytest.mark.parametrize("part", ["training", "validation"])
def test_too_few_sessions_names_model_fold_and_part(part):
    samples, fold = made_samples(REGIME)
    empty = replace(fold, **{part: fold.training[:0]})
    with pytest.raises(DataError, match=f"regime_lstm, fold 2: {part} has no samples: fewer sess"):
        train(samples, empty, REGIME, FAST, seed=1, device="cpu")


def test_samples_made_for_another_model_are_refused():
    samples, fold = made_samples(REGIME)
    with pytest.raises(DataError, match="reads 9 sessions of returns"):
        train(samples, fold, replace(REGIME, lookback=9), FAST, seed=1, device="cpu")


def test_cuda_asked_for_and_absent_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    samples, fold = made_samples(REGIME)
    with pytest.raises(ConfigError, match=r"--set compute\.device=auto"):
        train(samples, fold, REGIME, FAST, seed=1, device="cuda")


def test_auto_is_the_best_device_present(monkeypatch):
    monkeypatch.setattr(devices, "DRIVERS", ("/",))  # a machine with some driver
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert resolve_device("auto") == expected


def test_class_weights_by_hand():
    target = torch.tensor([[0.0], [0], [0], [1]])
    weights = Regime(20).weights(target)
    torch.testing.assert_close(weights, torch.tensor([4 / 6, 4 / 2, 1, 1]))
    assert weights[target[:, 0].long()].mean() == 1  # the samples' weights average one
    output = torch.tensor([[1.0, 0, 0, 0]]).expand(4, -1)
    likelihood = torch.log_softmax(output[0], dim=0)
    expected = -(3 * 4 / 6 * likelihood[0] + 4 / 2 * likelihood[1]) / 4
    torch.testing.assert_close(Regime(20).loss(output, target, weights), expected)


def test_class_weights_change_the_fit():
    samples, fold = made_samples(REGIME)
    weighted = replace(REGIME, class_weights=True)
    plain, other = (
        train(samples, fold, model, FAST, seed=1, device="cpu") for model in (REGIME, weighted)
    )
    assert plain.history[0].training_loss != other.history[0].training_loss


def test_accuracy_by_hand():
    regime = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0]])
    assert Regime(20).accuracy(regime, torch.tensor([[1.0], [2.0]])) == 0.5
    up, came = torch.tensor([[2.0], [-1], [1]]), torch.tensor([[1.0], [0], [0]])
    assert Direction().accuracy(up, came) == pytest.approx(2 / 3)
    assert Returns(1).accuracy(regime, regime).isnan()


def test_seeds_depend_on_all_their_parts_and_never_change():
    seeds = {
        derive_seed(run, name, fold, member)
        for run in (0, 1)
        for name in ("a", "b")
        for fold in (0, 1)
        for member in (0, 1)
    }
    assert len(seeds) == 16
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(0, "regime_lstm", 0, 0) == 2265244822


def test_the_default_training_is_the_published_one():
    config = TrainingConfig()
    assert (config.learning_rate, config.batch_size, config.gradient_norm) == (1e-3, 64, 1.0)
    assert (config.schedule_factor, config.schedule_patience) == (0.5, 5)
