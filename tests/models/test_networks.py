from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rnntrade.errors import ConfigError
from rnntrade.models.build import build
from rnntrade.models.seq2seq import teacher_forcing_ratio
from rnntrade.types import Scaler
from tests.configs import ATTENTION, DIRECTION, FORECAST, REGIME

SMALL = replace(FORECAST, hidden_size=4, num_layers=1, dropout=0.0, horizon=3)


def windows(model, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, model.lookback, len(model.inputs), generator=generator)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        # An LSTM layer reading I with H units has 4H(I + H + 2); a Linear I → O has (I + 1)O.
        (REGIME, 256 * (3 + 66) + 256 * (64 + 66) + 65 * 32 + 33 * 4),
        (DIRECTION, 256 * (1 + 66) + 256 * (64 + 66) + 65),
        (FORECAST, 2 * (256 * (1 + 66) + 256 * (64 + 66)) + 65),
        (
            ATTENTION,
            2 * (256 * (20 + 66) + 256 * (128 + 66)) + (129 * 64 + 65) + (129 * 64 + 65 * 32 + 33),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_has_the_parameters_of_the_published_sizes(model, parameters):
    assert sum(weight.numel() for weight in build(model).parameters()) == parameters


@pytest.mark.parametrize(
    ("model", "outputs"), [(REGIME, 4), (DIRECTION, 1), (replace(DIRECTION, task="return"), 1)]
)
def test_answers_once_a_window(model, outputs):
    assert build(model)(windows(model)).shape == (3, outputs)


def test_dropout_is_where_the_table_has_it():
    rates = {
        model.name: [each.p for each in build(model).modules() if isinstance(each, nn.Dropout)]
        for model in (REGIME, DIRECTION, FORECAST, ATTENTION)
    }
    assert rates == {
        "regime_lstm": [0.2],
        "many_to_one_lstm": [0.2],
        "seq2seq_lstm": [],
        "attention_bilstm": [0.3, 0.3],
    }
    assert build(ATTENTION).encoder.dropout == 0.3
    assert build(replace(ATTENTION, num_layers=1)).encoder.dropout == 0.0  # no between


def test_answers_the_same_alone_as_among_others():
    for model in (REGIME, DIRECTION, FORECAST):
        network, x = build(model).eval(), windows(model)
        with torch.no_grad():
            torch.testing.assert_close(network(x)[1:2], network(x[1:2]), rtol=1e-5, atol=1e-6)


def test_attention_weighs_every_session_and_sums_to_one():
    network = build(ATTENTION).eval()
    logit, weights = network(windows(ATTENTION))
    assert logit.shape == (3, 1)
    assert weights.shape == (3, ATTENTION.lookback)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))


def test_attention_reads_the_states_it_weighs_by_hand():
    small = replace(ATTENTION, inputs=("returns",), hidden_size=2, num_layers=1, dropout=0.0)
    network = build(small).eval()
    x = windows(replace(ATTENTION, inputs=("returns",), lookback=4), count=1)
    logit, weights = network(x)
    states = network.encoder(x)[0][0]  # (4, 4)
    scores = torch.stack([network.attention(state)[0] for state in states])
    torch.testing.assert_close(weights[0], scores.exp() / scores.exp().sum())
    torch.testing.assert_close(logit[0], network.head(weights[0] @ states))


def test_the_decoder_starts_from_the_last_observed_return_and_goes_on_by_itself():
    network = build(replace(FORECAST, hidden_size=4)).eval()
    network.measure(Scaler(np.array([0.5]), np.array([2.0]), 0.1, 4.0))
    x = windows(FORECAST, count=1)
    _, state = network.encoder(x)
    fed, expected = (x[0, -1, 0] * 2.0 + 0.5 - 0.1) / 4.0, []  # in units of the target
    for _ in range(5):
        states, state = network.decoder(fed.reshape(1, 1, 1), state)
        fed = network.head(states).squeeze()
        expected.append(fed)
    torch.testing.assert_close(network(x)[0], torch.stack(expected))


def test_evaluation_ignores_a_target_even_when_it_is_given():
    network, x = build(FORECAST).eval(), windows(FORECAST)
    truth = torch.full((3, 5), 100.0)
    assert torch.equal(network(x), network(x, truth, teacher_forcing=1.0))


def test_teacher_forcing_feeds_the_truth_to_all_steps_but_the_first():
    network, x = build(SMALL).train(), windows(FORECAST)
    zeros, ones = torch.zeros(3, 3), torch.ones(3, 3)
    free, told_zero, told_one = network(x), network(x, zeros, 1.0), network(x, ones, 1.0)
    assert torch.equal(network(x, ones, 0.0), free)
    assert torch.equal(told_one[:, 0], free[:, 0])  # the first step reads what was observed
    assert (told_one[:, 1:] != told_zero[:, 1:]).all()
    last_differs = torch.cat([zeros[:, :2], ones[:, :1]], dim=1)
    assert torch.equal(network(x, last_differs, 1.0), told_zero)  # no step reads its own answer


def test_teacher_forcing_is_drawn_for_each_sample_and_step():
    torch.manual_seed(0)
    network = build(SMALL).train()
    x = windows(FORECAST, count=1).expand(400, -1, -1)  # all the same
    truth = torch.full((400, 3), 5.0)
    with torch.no_grad():
        paths = network(x, truth, 0.25).numpy().round(5)
    # Steps two and three are each told or not: four different paths, by chance of their own.
    ways, counts = np.unique(paths, axis=0, return_counts=True)
    assert len(ways) == 4
    np.testing.assert_allclose(sorted(counts / 400), [1 / 16, 3 / 16, 3 / 16, 9 / 16], atol=0.07)


def test_teacher_forcing_fades_to_a_tenth():
    ratios = [teacher_forcing_ratio(epoch, 30) for epoch in range(30)]
    assert ratios[0] == 1.0
    assert ratios[15] == 0.5
    assert ratios[27:] == pytest.approx([0.1, 0.1, 0.1])
    assert min(ratios) == 0.1


def test_refuses_a_task_that_the_architecture_cannot_do():
    with pytest.raises(ConfigError, match="seq2seq_lstm does forecast, not regime"):
        build(replace(FORECAST, task="regime"))


def test_refuses_a_decoder_without_returns_to_go_on_from():
    with pytest.raises(ConfigError, match=r"seq2seq_lstm\.inputs must have 'returns'"):
        build(replace(FORECAST, inputs=("rsi",)))


def test_finds_the_return_among_other_inputs():
    assert build(replace(FORECAST, inputs=("rsi", "returns"))).observed == 1
