"""From a model's config to its untrained network."""

from collections.abc import Callable, Mapping

from torch import nn

from rnntrade.config import ModelConfig
from rnntrade.errors import ConfigError
from rnntrade.models.attention import AttentionBiLSTM
from rnntrade.models.recurrent import ManyToOneLSTM, RegimeLSTM
from rnntrade.models.seq2seq import Seq2SeqLSTM

Build = Callable[[ModelConfig], nn.Module]

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


def _sized(network: Callable[[int, int, int, float], nn.Module]) -> Build:
    """Networks that know nothing but their sizes."""
    return lambda config: network(
        len(config.inputs), config.hidden_size, config.num_layers, config.dropout
    )


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


ARCHITECTURES: Mapping[str, tuple[Build, tuple[str, ...]]] = {
    "regime_lstm": (_sized(RegimeLSTM), ("regime",)),
    "many_to_one_lstm": (_sized(ManyToOneLSTM), ("direction", "return")),
    "seq2seq_lstm": (_seq2seq, ("forecast",)),
    "attention_bilstm": (_sized(AttentionBiLSTM), ("direction", "return")),
}
