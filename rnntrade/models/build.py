"""From a model's config to its untrained network."""

from collections.abc import Callable, Mapping

from torch import nn

from rnntrade.config import ModelConfig
from rnntrade.errors import ConfigError
from rnntrade.models.attention import AttentionBiLSTM
from rnntrade.models.recurrent import ManyToOneLSTM, RegimeLSTM
from rnntrade.models.seq2seq import Seq2SeqLSTM

ARCHITECTURES: Mapping[str, tuple[Callable[[ModelConfig], nn.Module], tuple[str, ...]]] = {
    "regime_lstm": (RegimeLSTM, ("regime",)),
    "many_to_one_lstm": (ManyToOneLSTM, ("direction", "return")),
    "seq2seq_lstm": (Seq2SeqLSTM, ("forecast",)),
    "attention_bilstm": (AttentionBiLSTM, ("direction", "return")),
}


def build(config: ModelConfig) -> nn.Module:
    """Return the network, its weights drawn from torch's global generator.

    raises: ConfigError when the architecture cannot do the task, or lacks an input
    """
    network, tasks = ARCHITECTURES[config.architecture]
    if config.task not in tasks:
        raise ConfigError(
            f"{config.name}: {config.architecture} does {' or '.join(tasks)}, not {config.task}.  "
            f"Change models.{config.name}.architecture or models.{config.name}.task."
        )
    return network(config)
