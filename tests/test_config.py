from datetime import date

import pytest

from rnntrade.config import EXPERIMENTS, find_experiment, override
from rnntrade.errors import ConfigError


def test_any_field_can_be_set_from_text():
    changed = override(
        find_experiment("quick"),
        {
            "seed": "3",
            "data.tickers": "AAA, BBB",
            "data.start": "2001-02-03",
            "models.*.max_epochs": "2",
            "models.seq2seq_lstm.inputs": "returns",
            "models.regime_lstm.hidden_size": "8",
        },
    )
    assert changed.seed == 3
    assert changed.data.tickers == ("AAA", "BBB")
    assert changed.data.start == date(2001, 2, 3)
    assert {model.max_epochs for model in changed.models} == {2}
    assert [model.hidden_size for model in changed.models] == [8, 64, 64, 64, 64]
    assert override(find_experiment("quick"), {}) == find_experiment("quick")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("trainin.patience", "1", "Did you mean 'training'"),
        ("training.patiense", "1", "Did you mean 'patience'"),
        ("models.regime_lst.dropout", "0", "Did you mean 'regime_lstm'"),
        ("models.regime_lstm.hiden_size", "1", "Did you mean 'hidden_size'"),
        ("training.patience", "many", "training.patience = 'many'"),
        ("training", "1", "is a section"),
        ("models", "1", "names no model"),
        ("seed.deeper", "1", "is a field, not a section"),
        ("data.source", "yahu", "data.source = 'yahu'"),
        ("split.test_fraction", "1.5", "less than 1"),
    ],
)
def test_a_wrong_field_or_value_is_told_with_its_cure(path, value, told):
    with pytest.raises(ConfigError, match=told):
        override(find_experiment("quick"), {path: value})


def test_an_unknown_experiment_gets_a_near_name():
    with pytest.raises(ConfigError, match="Did you mean 'notebook'"):
        find_experiment("notbook")


def test_a_schedule_on_test_loss_cannot_be_configured():
    from dataclasses import fields

    names = {field.name for field in fields(EXPERIMENTS["quick"].training)}
    assert not {name for name in names if "test" in name or "monitor" in name}
