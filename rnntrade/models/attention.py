"""A bidirectional LSTM whose states are weighed by attention.

Bidirectional is legal: the window ends at its decision, so the backward pass reads no future.
"""

import torch
from torch import Tensor, nn

from rnntrade.config import ModelConfig
from rnntrade.models.recurrent import half, lstm, zero_state


class AttentionBiLSTM(nn.Module):
    """The logit of up, and how much each session counted: (B, L, F) to (B, 1) and (B, L).

    source: additive attention of Bahdanau et al. (2015), with a learned query
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.encoder = lstm(config, bidirectional=True)
        self.attention = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, 1),
        )
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, half(hidden)),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(half(hidden), 1),
        )

    def attend(self, x: Tensor) -> Tensor:
        """(B, L) how much each session counts."""
        _, weights = self(x)
        return torch.as_tensor(weights)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the states of all sessions, and read the answer from their weighted sum."""
        states, _ = self.encoder(x, zero_state(self.encoder, x))  # (B, L, 2H)
        weights = torch.softmax(self.attention(states).squeeze(-1), dim=1)  # (B, L)
        context = torch.einsum("bl,blh->bh", weights, states)  # (B, 2H)
        return self.head(context), weights  # (B, 1), (B, L)
