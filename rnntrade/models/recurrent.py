"""Many-to-one LSTMs: a window in, one answer about its future out.

Everywhere in `models`: B windows, L sessions, F features, H hidden units; x (B, L, F) float32 is
standardised.  States start from explicit zeros on x's device, so that an exported network is tied
to none.  Source: Hochreiter & Schmidhuber (1997).
"""

from torch import Tensor, nn

from rnntrade.config import ModelConfig
from rnntrade.types import REGIMES


class RegimeLSTM(nn.Module):
    """Which regime comes: (B, L, F) to (B, 4) logits, one per class of REGIMES."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.encoder = lstm(config)
        self.head = nn.Sequential(
            nn.Linear(hidden, half(hidden)),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(half(hidden), len(REGIMES)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Read the regime from the state after the newest session."""
        states, _ = self.encoder(x, zero_state(self.encoder, x))  # (B, L, H)
        logits: Tensor = self.head(states[:, -1])  # (B, 4)
        return logits


class ManyToOneLSTM(nn.Module):
    """One number about what comes, a return or the logit of up: (B, L, F) to (B, 1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = lstm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Read the answer from the state after the newest session."""
        states, _ = self.encoder(x, zero_state(self.encoder, x))  # (B, L, H)
        answer: Tensor = self.head(self.dropout(states[:, -1]))  # (B, 1)
        return answer


def lstm(config: ModelConfig, features: int = 0, bidirectional: bool = False) -> nn.LSTM:
    """Return a batch-first LSTM with dropout between its layers, where there is a between.

    features  0: as many as the model's inputs
    """
    return nn.LSTM(
        features or len(config.inputs),
        config.hidden_size,
        config.num_layers,
        batch_first=True,
        dropout=config.dropout if config.num_layers > 1 else 0.0,
        bidirectional=bidirectional,
    )


def zero_state(encoder: nn.LSTM, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden and cell state before the first session, (layers × directions, B, H) each."""
    directions = 2 if encoder.bidirectional else 1
    shape = (encoder.num_layers * directions, x.shape[0], encoder.hidden_size)
    return x.new_zeros(shape), x.new_zeros(shape)


def half(size: int) -> int:
    """Return the width of a head's narrow layer."""
    return max(1, size // 2)
