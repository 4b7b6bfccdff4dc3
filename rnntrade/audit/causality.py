"""The causality audit: replace the future, and see that no number of the past moves.

For every stage apart, and for the chain end to end, everything after a session t is replaced in
seven ways (`perturb.py`) and every number dated t or before must come out bit-identical; labels
must look ahead exactly their horizon.  Cheap stages (prices, features, regimes by rule, targets,
positions) are probed at special sessions (fold boundaries and their neighbours, first and last
rows, holes, listings) in three ways and at `audit.sessions` random ones in one, by turns, so that
all seven are used all over.  Costly stages (samples, fits, predictions, baselines, the engine) are
probed at the boundaries of the last fold, and of the first for one model a task, or at a few
sessions, in two to seven ways, with networks of four hidden units on the newest sessions of each
part.  Fold dates come from the calendar alone and are held fixed.

A stage is fed with what is clean up to t, so a leak is told where it arises.  A model is judged
from its target to its served predictions, until something leaks; so are the books; and the chain
end to end only when every stage is clean.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from rnntrade.audit.end_to_end import audit_chain
from rnntrade.audit.findings import Audited, merge
from rnntrade.audit.learned_checks import audit_baselines, audit_fit, audit_predictions
from rnntrade.audit.money_checks import (
    audit_beside,
    audit_engine_causality,
    audit_positions,
    audit_served,
    audit_tuning,
)
from rnntrade.audit.sample_checks import Learner, audit_parts, audit_samples
from rnntrade.audit.series_checks import (
    audit_features,
    audit_prices,
    audit_regimes,
    audit_targets,
)
from rnntrade.audit.setting import Setting
from rnntrade.chain import Chain, chain_of
from rnntrade.config import Experiment, ModelConfig
from rnntrade.features.sets import FEATURES
from rnntrade.labels.regimes import Labels
from rnntrade.types import Prices

SMALL = {"hidden_size": 4, "num_layers": 1, "dropout": 0.0, "max_epochs": 3}
LEARNING_RATE = 1e-2  # so that a few epochs differ


def audit_causality(
    prices: Prices,
    experiment: Experiment,
    chain: Chain | None = None,
    seed: int = 0,
    features: tuple[str, ...] = tuple(FEATURES),
    test_from: pd.Timestamp | None = None,
) -> Audited:
    """Hunt for numbers that knew their future.

    prices      all that the experiment would see
    experiment  its labels, split, models, trading and backtest; networks are made tiny
    chain       the stages, the library's own unless replaced
    seed        of the random sessions and futures
    features    which ones; the models' inputs are sampled from the same functions anyway
    test_from   first session of an opened holdout, whose one fold is then audited
    returns     comparisons by stage, and a finding for each kind of leak in each stage
    errors      DataError when the prices are too few for the experiment
    """
    experiment = _small(experiment)
    chain = chain or chain_of(experiment.backtest.sessions_per_year)
    setting = Setting(chain, experiment, prices, chain.prices(prices), seed, test_from)
    labels = [_label(setting, number) for number in range(len(setting.folds))]
    asked = {
        question: audit_targets(setting, labels[-1], model)
        for question, model in _asked(experiment.models).items()
    }
    sound = [model for model in experiment.models if not asked[_question(model)].findings]
    money = merge([audit_positions(setting), audit_engine_causality(setting)])
    if not money.findings:  # else it would be found again beside the strategy
        money = merge([money, audit_beside(setting)])
    parts = [
        audit_prices(setting),
        audit_features(setting, features),
        audit_regimes(setting, labels),
        *asked.values(),
        *audit_learners(setting, labels, sound),
        money,
    ]
    audited = merge(parts)
    return merge([audited, audit_chain(setting)]) if audited.clean else audited


def audit_learners(
    setting: Setting, labels: Sequence[Labels], models: Sequence[ModelConfig]
) -> list[Audited]:
    """All that is learned, model by model and fold by fold, each as far as it is clean."""
    found = []
    told: set[str] = set()  # tasks of which every fold and the baselines were audited
    for model in models:
        features = setting.chain.compute_features(setting.prices, model.inputs)
        sound = True
        for fold in labels[-1:] if model.task in told else labels[::-1]:
            targets = setting.chain.make_targets(setting.prices, fold, model)
            sampled = setting.chain.sample(features, targets, fold, model)
            learner = Learner(setting, model, fold, features, targets, *sampled)
            if fold is labels[-1]:
                found.append(audit_samples(learner))
                sound = not found[-1].findings
            if not sound:
                continue
            found.append(audit_parts(learner))
            if found[-1].findings:
                continue
            audited, fit = audit_fit(learner)
            found.append(audited)
            if audited.findings:
                continue
            found.append(audit_predictions(learner, fit))
            if found[-1].findings:
                continue
            found += [audit_served(learner, fit), audit_tuning(learner, fit)]
            if fold is labels[-1] and model.task not in told:
                found.append(audit_baselines(learner))
        told.add(model.task)
    return found


def _small(experiment: Experiment) -> Experiment:
    """The same questions, asked of networks that train in a moment."""
    models = tuple(replace(model, **SMALL) for model in experiment.models)  # type: ignore[arg-type] # names of fields
    training = replace(experiment.training, learning_rate=LEARNING_RATE)
    return replace(experiment, models=models, training=training, members=1)


def _label(setting: Setting, number: int) -> Labels:
    return setting.chain.label(
        setting.prices,
        setting.experiment.labels,
        setting.folds[number],
        setting.prices.sessions,
    )


def _asked(models: tuple[ModelConfig, ...]) -> dict[tuple[str, int], ModelConfig]:
    """One model a question."""
    return {_question(model): model for model in models}


def _question(model: ModelConfig) -> tuple[str, int]:
    return model.task, model.horizon
