"""Many-to-one LSTMs: a window in, one answer about its future out.

Everywhere in `models`: B windows, L sessions, F features, H hidden units; x (B, L, F) float32 is
standardised.  States start from explicit zeros on x's device, so that an exported network is tied
to none.  Source: Hochreiter & Schmidhuber (1997).
"""

from torch import Tensor, nn

from rnntrade.types import REGIMES


class RegimeLSTM(nn.Module):
    """Which regime comes: (B, L, F) to (B, 4) logits, one per class of REGIMES."""

    def __init__(self, features: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = lstm(features, hidden_size, num_layers, dropout)
        self.head = nn.Sequential(
            nn.Linear(hidden_size, half(hidden_size)),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(half(hidden_size), len(REGIMES)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Read the regime from the state after the newest session."""
        states, _ = self.encoder(x, zero_state(self.encoder, x))  # (B, L, H)
        logits: Tensor = self.head(states[:, -1])  # (B, 4)
        return logits


class ManyToOneLSTM(nn.Module):
    """One number about what comes, a return or the logit of up: (B, L, F) to (B, 1)."""

    def __init__(self, features: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = lstm(features, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Read the answer from the state after the newest session."""
        states, _ = self.encoder(x, zero_state(self.encoder, x))  # (B, L, H)
        answer: Tensor = self.head(self.dropout(states[:, -1]))  # (B, 1)
        return answer


def lstm(
    features: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool = False
) -> nn.LSTM:
    """Return a batch-first LSTM with dropout between its layers, where there is a between."""
    return nn.LSTM(
        features,
        hidden_size,
        num_layers,
        batch_first=True,
        dropout=dropout if num_layers > 1 else 0.0,
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
