"""Challenger against champion, as a task: the comparison, the decision, and the aliases."""

from dataclasses import replace

from filelock import FileLock
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.production.desk import Desk, narrowed
from rnntrade.production.promotion import Decision, decide
from rnntrade.production.scores import same_question, score, shared_tickers
from tasks.artifacts import Ref, data_fingerprint
from tasks.home import artifacts_folder
from tasks.summary import Summary
from tasks.tables import read_prices
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


@task(task_run_name="judge-{asked}", cache_policy=NO_CACHE)
def judge(asked: str, experiment: Experiment, prices: dict[str, Ref], summary: Summary) -> Judged:
    """Compare the run's best model of a task with the champion; promote it if it is better.

    asked    "direction", "regime" or "forecast"
    summary  of the run that made the challenger on these prices
    """
    with FileLock(artifacts_folder() / "locks" / "promotion.guard"):
        champion = champions.holder(asked)
        rival = champions.desk_of(champion) if champion else None
        before = champion.name if champion else ""
        version, desk, why_not = _challenger(asked, experiment, summary, rival)
        if version is None or desk is None:
            return Judged(
                task=asked, challenger="", champion=before, promoted=False, reasons=[why_not]
            )
        data = data_fingerprint(prices)
        if champion and champion.number == version.number:
            return _already(version, data)
        decided, scope = _compare(version, desk, champion, rival, experiment, prices, summary.clean)
        reason = "; ".join(decided.reasons)
        figures = {
            name: value if value == value else None for name, value in decided.figures.items()
        }
        told = {"against": before, "data": data, "run": summary.mlflow_run, **figures}
        told["tickers"] = ", ".join(scope)
        if decided.promoted:
            champions.promote(version, reason, told)
        else:
            champions.note(version, "stays challenger", reason, told)
        return Judged(
            task=asked,
            challenger=version.name,
            champion=before,
            promoted=decided.promoted,
            reasons=list(decided.reasons),
            figures=figures,
        )


def _already(champion: Version, data: str) -> Judged:
    """The challenger is the champion: since long, or by a retraining that was cut short."""
    tags = champion.tags
    just_now = tags.get("decision") == PROMOTED and tags.get("decision.data") == data
    return Judged(
        task=champion.task,
        challenger=champion.name,
        champion=tags.get("decision.against", "") if just_now else champion.name,
        promoted=just_now,
        reasons=[tags["decision.reason"] if just_now else "it is the champion already"],
    )


def _challenger(
    asked: str, experiment: Experiment, summary: Summary, rival: Desk | None
) -> tuple[Version | None, Desk | None, str]:
    """The run's best version that answers the champion's question; or why there is none.

    Best is what beats its own best baseline by the most, or misses it by the least.  Without a
    champion, the question is that of the experiment's first model of the task.
    """
    names = [m.name for m in experiment.models if m.task == asked and m.name in summary.versions]
    found: list[tuple[float, Version, Desk]] = []
    reasons = []
    for name in names:
        version = champions.find_version(asked, summary.versions[name])
        desk = champions.desk_of(version)
        first = rival or (found[0][2] if found else desk)
        if reason := same_question(desk, first):
            reasons.append(f"{name}: {reason}.  {_by_hand(version)}")
            continue
        difference = summary.figures[name]["difference"]
        found.append((float(difference or 0.0), version, desk))
    if not found:
        told = "; ".join(reasons) or f"no {asked} model was trained"
        return None, None, f"nothing to compare with the champion: {told}"
    _, version, desk = max(found, key=lambda each: (each[0], int(each[1].number)))
    return version, desk, ""


def _compare(
    version: Version,
    desk: Desk,
    champion: Version | None,
    rival: Desk | None,
    experiment: Experiment,
    prices: dict[str, Ref],
    clean: bool,
) -> tuple[Decision, tuple[str, ...]]:
    """Score both on the tickers that both decide on, and sessions that neither has learned from.

    returns  the decision, and these tickers
    """
    cases = (experiment.backtest, experiment.report.cost_cases)
    bars = read_prices(prices)
    if champion is None or rival is None:
        own = score(version.name, desk, bars, desk.fold.test, *cases, desk)
        return decide(own, None, clean, experiment.production), desk.tickers
    first = max(desk.fold.test, rival.fold.test)
    tickers = shared_tickers(desk, rival, bars, first)
    if not tickers:
        reason = f"no ticker that {champion.name} decides on has prices since {first:%Y-%m-%d}.  "
        return Decision(False, (reason + _by_hand(version),), {}), ()
    rules = narrowed(rival, tickers)
    own = score(version.name, narrowed(desk, tickers), bars, first, *cases, rules)
    other = score(champion.name, rules, bars, first, *cases, rules)
    decided = decide(own, other, clean, experiment.production)
    if set(tickers) == set(desk.tickers) == set(rival.tickers):
        return decided, tickers
    about = f"compared on {', '.join(tickers)}: it decides on {', '.join(desk.tickers)}, "
    about += f"{champion.name} on {', '.join(rival.tickers)}"
    about += "" if decided.promoted else f".  {_by_hand(version)}"
    return replace(decided, reasons=(*decided.reasons, about)), tickers


def _by_hand(version: Version) -> str:
    """The way to follow a version that cannot be compared."""
    return f"To follow it all the same: rnntrade promote {version.task} {version.number}"
