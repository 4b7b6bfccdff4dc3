"""Challenger against champion, as a task: the comparison, the decision, and the aliases."""

from dataclasses import replace
from typing import NamedTuple

from filelock import FileLock
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.production import promotion
from rnntrade.production.desk import Desk, narrowed
from rnntrade.production.promotion import Decision, same_question, score, shared_tickers
from tasks.home import artifacts_folder
from tasks.refs import Tables, data_fingerprint, read_prices
from tasks.summary import Summary
from tasks.tracking import champions
from tasks.tracking.champions import PROMOTED, Version


class Judged(BaseModel):
    """What became of the best model of one task."""

    task: str
    challenger: str  # rnntrade-direction/4; "" if the run made none
    champion: str  # before; "" if there was none
    promoted: bool
    reasons: list[str]
    figures: dict[str, float | None] = {}


class Contender(NamedTuple):
    """A registered version, and its desk."""

    version: Version
    desk: Desk


@task(task_run_name="judge-{asked}", cache_policy=NO_CACHE)
def judge(asked: str, experiment: Experiment, prices: Tables, summary: Summary) -> Judged:
    """Compare the run's best model of a task with the champion; promote it if it is better.

    asked    "direction", "regime" or "forecast"
    summary  of the run that made the challenger on these prices
    """
    with FileLock(artifacts_folder() / "locks" / "promotion.guard"):
        holder = champions.holder(asked)
        champion = Contender(holder, champions.desk_of(holder)) if holder else None
        before = holder.name if holder else ""
        challenger = _challenger(asked, experiment, summary, champion)
        if isinstance(challenger, str):
            return Judged(
                task=asked, challenger="", champion=before, promoted=False, reasons=[challenger]
            )
        version, data = challenger.version, data_fingerprint(prices)
        if holder and holder.number == version.number:  # since long, or a retraining was cut short
            just_now = holder.tags.get("decision") == PROMOTED
            just_now = just_now and holder.tags.get("decision.data") == data
            return Judged(
                task=asked,
                challenger=version.name,
                champion=holder.tags.get("decision.against", "") if just_now else before,
                promoted=just_now,
                reasons=[
                    holder.tags["decision.reason"] if just_now else "it is the champion already"
                ],
            )
        decision, tickers = compare(challenger, champion, experiment, prices, summary.clean)
        figures = {name: x if x == x else None for name, x in decision.figures.items()}
        about = {"against": before, "data": data, "run": summary.mlflow_run, **figures}
        about["tickers"] = ", ".join(tickers)
        reason = "; ".join(decision.reasons)
        if decision.promoted:
            champions.promote(version, reason, about)
        else:
            champions.note(version, "stays challenger", reason, about)
        return Judged(
            task=asked,
            challenger=version.name,
            champion=before,
            promoted=decision.promoted,
            reasons=list(decision.reasons),
            figures=figures,
        )


def _challenger(
    asked: str, experiment: Experiment, summary: Summary, champion: Contender | None
) -> Contender | str:
    """The run's best version that answers the champion's question; or why there is none.

    Best is what beats its own best baseline by the most, or misses it by the least.  Without a
    champion, the question is that of the experiment's first model of the task.
    """
    names = [m.name for m in experiment.models if m.task == asked and m.name in summary.versions]
    contenders: list[tuple[float, int, Contender]] = []
    reasons = []
    for name in names:
        version = champions.find_version(asked, summary.versions[name])
        own = Contender(version, champions.desk_of(version))
        rival = champion or (contenders[0][2] if contenders else own)
        if reason := same_question(own.desk, rival.desk):
            reasons.append(f"{name}: {reason}.  {by_hand(version)}")
            continue
        difference = float(summary.figures[name]["difference"] or 0.0)
        contenders.append((difference, int(version.number), own))
    if not contenders:
        why_not = "; ".join(reasons) or f"no {asked} model was trained"
        return f"nothing to compare with the champion: {why_not}"
    return max(contenders, key=lambda contender: contender[:2])[2]


def compare(
    challenger: Contender,
    champion: Contender | None,
    experiment: Experiment,
    prices: Tables,
    clean: bool,
) -> tuple[Decision, tuple[str, ...]]:
    """Score both on the tickers that both decide on, and sessions that neither has learned from.

    returns  the decision, and these tickers
    """
    money, cases, bars = experiment.backtest, experiment.report.cost_cases, read_prices(prices)
    name, desk = challenger.version.name, challenger.desk
    if champion is None:
        own = score(name, desk, bars, desk.fold.test, money, cases, desk)
        return promotion.judge(own, None, clean, experiment.production), desk.tickers
    rival, first = champion.desk, max(desk.fold.test, champion.desk.fold.test)
    tickers = shared_tickers(desk, rival, bars, first)
    if not tickers:
        reason = f"no ticker that {champion.version.name} decides on has prices since "
        reason += f"{first:%Y-%m-%d}.  {by_hand(challenger.version)}"
        return Decision(False, (reason,), {}), ()
    rules = narrowed(rival, tickers)
    own = score(name, narrowed(desk, tickers), bars, first, money, cases, rules)
    other = score(champion.version.name, rules, bars, first, money, cases, rules)
    decision = promotion.judge(own, other, clean, experiment.production)
    if set(tickers) == set(desk.tickers) == set(rival.tickers):
        return decision, tickers
    about = f"compared on {', '.join(tickers)}: it decides on {', '.join(desk.tickers)}, "
    about += f"{champion.version.name} on {', '.join(rival.tickers)}"
    about += "" if decision.promoted else f".  {by_hand(challenger.version)}"
    return replace(decision, reasons=(*decision.reasons, about)), tickers


def by_hand(version: Version) -> str:
    """The way to follow a version that cannot be compared."""
    return f"To follow it all the same: rnntrade promote {version.task} {version.number}"
