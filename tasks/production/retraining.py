"""Retraining: one at a time, only when something is new, judged, and written down at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from rnntrade.config import OPEN_END, Experiment
from rnntrade.errors import ConfigError
from rnntrade.fingerprint import fingerprint, source_digest
from rnntrade.production import promotion
from rnntrade.production.desk import Desk, narrowed
from rnntrade.production.promotion import Decision, same_question, score, shared_tickers
from rnntrade.report.catalogue import markdown_table
from rnntrade.storage import explained
from tasks import clock
from tasks.home import artifacts_folder, home
from tasks.ledger import Ledger
from tasks.ledger.trials import last_session
from tasks.plain import run_logger, task
from tasks.production.policies import tonight
from tasks.refs import Tables, data_fingerprint, read_prices
from tasks.steps import sources
from tasks.summary import Summary
from tasks.tracking import champions
from tasks.tracking.champions import PROMOTED, Version

RETRAININGS = Ledger("retrainings")


class Judged(BaseModel):
    """What became of the best model of one task."""

    task: str
    challenger: str = ""  # rnntrade-direction/4; "" if the run made none
    champion: str = ""  # before; "" if there was none
    promoted: bool = False
    reasons: list[str] = []
    figures: dict[str, float | None] = {}


class Retraining(BaseModel):
    """What a retraining led to."""

    status: str  # "retrained", or "nothing new"
    experiment: str
    until: str  # newest session of the prices
    judged: list[Judged]
    mlflow_run: str
    report: str = ""  # path of the page
    verdict: str = ""
    warnings: list[str] = []  # about the prices
    at: str = ""  # when it was done, UTC
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had


def newest_split(experiment: Experiment) -> Experiment:
    """The experiment with the newest sessions as its test part, and prices without an end.

    errors  ConfigError when a holdout is sealed: retraining would look into it
    """
    if experiment.split.sealed_sessions:
        raise ConfigError(
            "a retraining is judged on the newest sessions, which split.sealed_sessions keeps from "
            "every run.  Retrain an experiment without a sealed holdout."
        )
    data, name = replace(experiment.data, end=OPEN_END), f"{experiment.name}_latest"
    return replace(tonight(experiment, gate=True), name=name, data=data)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other retraining goes on in this home."""
    guard = artifacts_folder() / "locks" / "retrain.guard"
    with explained(guard):
        guard.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(guard)
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            run_logger().info("another retraining is going on: waiting for its end")
            held = lock.acquire()
    with held:
        yield


def done_before(experiment: Experiment, prices: Tables) -> Retraining | None:
    """Return the finished retraining of the same experiment, prices and code, if there is one."""
    wanted = _key(experiment, prices)
    for line in reversed(RETRAININGS.read(dict)):
        if line["key"] == wanted:
            done = Retraining.model_validate(line["done"])
            return done.model_copy(update={"report": str(home() / done.report)})
    return None


class Contender(NamedTuple):
    """A registered version, and its desk."""

    version: Version
    desk: Desk


@task("judge-{asked}")
def judge(asked: str, experiment: Experiment, prices: Tables, summary: Summary) -> Judged:
    """Compare the run's best model of a task with the champion; promote it if it is better.

    asked    "direction", "regime" or "forecast"
    summary  of the run that made the challenger on these prices
    """
    with FileLock(artifacts_folder() / "locks" / "promotion.guard"):
        holder = champions.holder(asked)
        champion = Contender(holder, champions.desk_of(holder)) if holder else None
        judged = Judged(task=asked, champion=holder.name if holder else "")
        challenger = _challenger(asked, experiment, summary, champion)
        if isinstance(challenger, str):
            return judged.model_copy(update={"reasons": [challenger]})
        version, data = challenger.version, data_fingerprint(prices)
        judged.challenger = version.name
        if holder and holder.number == version.number:  # since long, or a retraining was cut short
            decision = (holder.tags.get("decision"), holder.tags.get("decision.data"))
            judged.promoted = decision == (PROMOTED, data)
            judged.reasons = ["it is the champion already"]
            if judged.promoted:
                judged.champion = holder.tags.get("decision.against", "")
                judged.reasons = [holder.tags["decision.reason"]]
            return judged
        outcome, tickers = compare(challenger, champion, experiment, prices, summary.clean)
        judged.promoted, judged.reasons = outcome.promoted, list(outcome.reasons)
        judged.figures = {name: x if x == x else None for name, x in outcome.figures.items()}
        about: dict[str, Any] = {"against": judged.champion, "data": data, **judged.figures}
        about |= {"run": summary.mlflow_run, "tickers": ", ".join(tickers)}
        reason = "; ".join(outcome.reasons)
        if outcome.promoted:
            champions.promote(version, reason, about)
        else:
            champions.note(version, "stays challenger", reason, about)
        return judged


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


@task("finish_retraining")
def finish(experiment: Experiment, prices: Tables, done: Retraining) -> Retraining:
    """Show what was decided on Prefect's pages, then write the retraining down as done."""
    done = done.model_copy(update={"until": last_session(prices), "at": clock.stamp()})
    create_markdown_artifact(
        key="promotion", markdown=markdown(done), description="Challenger against champion"
    )
    page = os.path.relpath(done.report, home())  # so that the home can be moved
    kept = done.model_copy(update={"report": page}).model_dump()
    with RETRAININGS.locked():
        RETRAININGS.add([{"key": _key(experiment, prices), "done": kept}])
    return done


def markdown(done: Retraining) -> str:
    """The decision with its figures, as Markdown."""
    parts = [f"# Retraining of {done.experiment}, sessions to {done.until}", f"**{done.verdict}**"]
    parts += [f"**warning** {warning}" for warning in done.warnings]
    for judged in done.judged:
        outcome = "promoted" if judged.promoted else "not promoted"
        challenger, champion = judged.challenger or "no challenger", judged.champion or "nobody"
        parts += [f"## {judged.task}: {challenger} against {champion}"]
        parts += [f"**{outcome}**: " + "; ".join(judged.reasons)]
        rows = [
            {"figure": name.replace("_", " "), "value": "-" if x is None else f"{x:.5g}"}
            for name, x in judged.figures.items()
        ]
        parts += [markdown_table(rows)] if rows else []
    return "\n\n".join([*parts, f"Report: `{done.report}`"])


def _key(experiment: Experiment, prices: Tables) -> str:
    code = (sources(), source_digest(__name__))
    return fingerprint((asdict(experiment), data_fingerprint(prices), code))
