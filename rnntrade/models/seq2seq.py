"""Many-to-many: the next h returns, each forecast from the one before it."""

import torch
from torch import Tensor, nn

from rnntrade.config import ModelConfig
from rnntrade.errors import ConfigError
from rnntrade.models.recurrent import lstm, zero_state
from rnntrade.types import Scaler

DECODED = "returns"  # the feature a decoder goes on from


class Seq2SeqLSTM(nn.Module):
    """Encoder and decoder: (B, L, F) to (B, h) returns, standardised as the target is.

    The decoder reads one return a step and forecasts the next.  Its first is the last *observed*
    one, which arrives standardised as an input; all later ones are forecasts or truths, which are
    standardised as the target.  `units` turns the first into the second, so that the decoder always
    reads one unit; it is a buffer, and travels with the weights.

    source: Sutskever et al. (2014); teacher forcing drawn per sample and step as in Bengio et al.
    (2015)
    """

    units: Tensor  # (2,) factor and shift, from input units to target units

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if DECODED not in config.inputs:
            raise ConfigError(
                f"{config.name}: a seq2seq_lstm goes on from the last return, so models."
                f"{config.name}.inputs must have {DECODED!r}."
            )
        self.horizon = config.horizon
        self.observed = config.inputs.index(DECODED)
        self.encoder = lstm(config)
        self.decoder = lstm(config, features=1)
        self.head = nn.Linear(config.hidden_size, 1)
        self.register_buffer("units", torch.tensor([1.0, 0.0]))

    def measure(self, scaler: Scaler) -> None:
        """Learn how the scaler's input units turn into its target units."""
        mean, deviation = scaler.mean[self.observed], scaler.deviation[self.observed]
        self.units[0] = float(deviation / scaler.target_deviation)
        self.units[1] = float((mean - scaler.target_mean) / scaler.target_deviation)

    def teach(self, x: Tensor, target: Tensor, ratio: float) -> Tensor:
        """Forecast in training, fed on the truth now and then."""
        return self.forward(x, target, ratio)

    def forward(
        self, x: Tensor, target: Tensor | None = None, teacher_forcing: float = 0.0
    ) -> Tensor:
        """Forecast h steps, each fed on the forecast before it, or in training on the truth.

        target           (B, h) truth; ignored in evaluation
        teacher_forcing  chance, for each sample and step, that the truth is fed
        """
        _, state = self.encoder(x, zero_state(self.encoder, x))  # (layers, B, H), twice
        fed = x[:, -1, self.observed, None] * self.units[0] + self.units[1]  # (B, 1)
        truth = target if self.training else None

        forecasts = []
        for step in range(self.horizon):
            states, state = self.decoder(fed[:, None], state)  # (B, 1, H)
            fed = self.head(states[:, -1])  # (B, 1)
            forecasts.append(fed)
            if truth is not None:
                forced = torch.rand_like(fed) < teacher_forcing  # (B, 1)
                fed = torch.where(forced, truth[:, step, None], fed)
        return torch.cat(forecasts, dim=1)  # (B, h)


def teacher_forcing_ratio(epoch: int, epochs: int) -> float:
    """Return the chance of being fed the truth in an epoch, counted from 0: 1, falling to 0.1."""
    return max(0.1, 1 - epoch / epochs)
