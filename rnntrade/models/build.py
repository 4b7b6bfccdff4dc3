"""From a model's config to its untrained network."""

from collections.abc import Callable, Mapping

from torch import nn

from rnntrade.config import ModelConfig
from rnntrade.errors import ConfigError
from rnntrade.models.attention import AttentionBiLSTM
from rnntrade.models.recurrent import ManyToOneLSTM, RegimeLSTM
from rnntrade.models.seq2seq import Seq2SeqLSTM

DECODED = "returns"  # the feature a decoder goes on from


def build(config: ModelConfig) -> nn.Module:
    """Return the network, its weights drawn from torch's global generator.

    raises: ConfigError when the architecture cannot do the task, or lacks an input
    """
    make, tasks = ARCHITECTURES[config.architecture]
    if config.task not in tasks:
        raise ConfigError(
            f"{config.name}: {config.architecture} does {' or '.join(tasks)}, not {config.task}.  "
            f"Change models.{config.name}.architecture or models.{config.name}.task."
        )
    return make(config)


def _regime(config: ModelConfig) -> nn.Module:
    return RegimeLSTM(len(config.inputs), config.hidden_size, config.num_layers, config.dropout)


def _many_to_one(config: ModelConfig) -> nn.Module:
    return ManyToOneLSTM(len(config.inputs), config.hidden_size, config.num_layers, config.dropout)


def _seq2seq(config: ModelConfig) -> nn.Module:
    if DECODED not in config.inputs:
        raise ConfigError(
            f"{config.name}: a seq2seq_lstm goes on from the last return, so models."
            f"{config.name}.inputs must have {DECODED!r}."
        )
    return Seq2SeqLSTM(
        len(config.inputs),
        config.hidden_size,
        config.num_layers,
        config.dropout,
        config.horizon,
        config.inputs.index(DECODED),
    )


def _attention(config: ModelConfig) -> nn.Module:
    return AttentionBiLSTM(
        len(config.inputs), config.hidden_size, config.num_layers, config.dropout
    )


ARCHITECTURES: Mapping[str, tuple[Callable[[ModelConfig], nn.Module], tuple[str, ...]]] = {
    "regime_lstm": (_regime, ("regime",)),
    "many_to_one_lstm": (_many_to_one, ("direction", "return")),
    "seq2seq_lstm": (_seq2seq, ("forecast",)),
    "attention_bilstm": (_attention, ("direction", "return")),
}
