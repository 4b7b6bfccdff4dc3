import re
from dataclasses import replace
from datetime import date

import pytest

from rnntrade.config import EXPERIMENTS, SplitConfig, as_toml, find_experiment, override
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
        ("models", "1", "models.NAME"),
        ("seed.deeper", "1", "is a field, not a section"),
        ("data.source", "yahu", "data.source = 'yahu'"),
        ("split.test_fraction", "1.5", "less than 1"),
        ("data.tickers", " , ", "data.tickers: there is no ticker; name at least one."),
        ("data.tickers", ["AAA", " "], "data.tickers: a ticker is empty; leave it out."),
        (
            "data.tickers",
            "A,B,A,B,C",
            "data.tickers: more than once: 'A', 'B'; name each ticker once.",
        ),
        (
            "data.end",
            "1999-01-01",
            "data: end 1999-01-01 is not after start 1999-01-01; the end is the first day left"
            " out.",
        ),
        (
            "models.*.name",
            "one",
            "models: more than one is named 'one'; give each its own name.",
        ),
        (
            "models.seq2seq_lstm.name",
            "../x",
            "models.../x.name: '../x' is no name; use letters without accents, digits, _ and -.",
        ),
        (
            "models.many_to_one_lstm.horizon",
            "5",
            "models.many_to_one_lstm: horizon is 5, but task direction asks about the next session;"
            " set horizon to 1.",
        ),
        (
            "models.seq2seq_lstm.task",
            "return",
            "models.seq2seq_lstm: horizon is 5, but task return asks about the next session;"
            " set horizon to 1.",
        ),
        ("models.regime_lstm.lookback", "0", "models.regime_lstm.lookback = '0': Input should be"),
        ("seed", "-1", "seed = '-1': Input should be greater than or equal to 0."),
        ("data.seed", "-1", "data.seed = '-1': Input should be greater than or equal to 0."),
    ],
)
def test_a_wrong_field_or_value_is_told_with_its_cure(path, value, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        override(find_experiment("quick"), {path: value})


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "é", "a\n"])
def test_a_model_is_not_named_what_no_folder_should_be(name):
    with pytest.raises(ConfigError, match="is no name"):
        override(find_experiment("quick"), {"models.seq2seq_lstm.name": name})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_sound(name):
    assert override(find_experiment(name), {}).name == name


def test_a_file_changes_its_base(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'base = "quick"\nseed = 3\n[data]\ntickers = ["^IXIC"]\n'
        '[[models]]\nname = "seq2seq_lstm"\nhorizon = 2\n'
    )
    (tmp_path / "wide.toml").write_text('base = "mine.toml"\n[models."*"]\nhidden_size = 128\n')
    wide = find_experiment(str(tmp_path / "wide.toml"))
    assert (wide.name, wide.seed, wide.data.tickers) == ("wide", 3, ("^IXIC",))
    (model,) = wide.models
    assert (model.task, model.horizon, model.hidden_size) == ("forecast", 2, 128)
    assert wide.training == find_experiment("quick").training


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("seed = ", "mine.toml"),
        ('base = "quik"', "quick"),
        ('base = "other.toml"', "other.toml"),
        ('base = "mine.toml"', "base"),
        ("[data]\ntickrs = []", "tickers"),
        ('[data]\nstart = "soon"', "data.start"),
        ('[[models]]\nname = "net"\nhiden_size = 3', "hidden_size"),
        ('[[models]]\nname = "net"', "models.net.architecture"),
        ("[[models]]\nlookback = 3", "models.0.name"),
        ("models = [1]", "models"),
        ("data = 1", "data"),
        ("models.lstm.lookback = 3", "lstm"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(tmp_path, content, named):
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(ConfigError) as raised:
        find_experiment(str(file))
    message = str(raised.value)
    assert str(file) in message
    assert named in message
    assert "\n" not in message


def test_walk_forward_is_the_default_and_only_the_notebook_and_debug_hold_out():
    assert SplitConfig().kind == "walk_forward"
    experiments = {name: find_experiment(name) for name in EXPERIMENTS}
    held_out = {name for name, chosen in experiments.items() if chosen.split.kind == "holdout"}
    assert held_out == {"notebook", "control", "debug"}
    assert {experiments["walk_forward"].members, experiments["rolling"].members} == {3}
    assert experiments["rolling"].split.window == "rolling"


def test_statistical_regimes_learn_from_the_training_part_alone():
    with pytest.raises(ConfigError, match=r"set labels\.thresholds to training"):
        override(
            find_experiment("quick"), {"labels.kind": "hmm", "labels.thresholds": "full_sample"}
        )


def test_statistical_regimes_have_two_or_three_states():
    quick = find_experiment("quick")
    assert override(quick, {"labels.states": "3"}).labels.states == 3
    for states in ("1", "4"):
        with pytest.raises(ConfigError, match=r"labels\.states"):
            override(quick, {"labels.states": states})


def test_an_unknown_experiment_gets_a_near_name():
    with pytest.raises(ConfigError, match="Did you mean 'notebook'"):
        find_experiment("notbook")


def test_a_schedule_on_test_loss_cannot_be_configured():
    from dataclasses import fields

    names = {field.name for field in fields(find_experiment("quick").training)}
    assert not {name for name in names if "test" in name or "monitor" in name}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_written_with_its_defaults_is_read_as_the_same(name, tmp_path):
    experiment = find_experiment(name)
    file = tmp_path / "mine.toml"
    file.write_text(as_toml(experiment), encoding="utf-8")
    assert find_experiment(str(file)) == replace(experiment, name="mine")


def test_a_written_experiment_explains_its_fields():
    lines = as_toml(find_experiment("quick")).splitlines()
    assert "members = 2  # fits per model and fold, their predictions averaged" in lines
    assert any(line.startswith("end = 2019-01-01  # ") for line in lines)
