"""Retraining: learn from the newest sessions, judge, and let the better one be followed."""

from dataclasses import replace

from prefect import flow, get_run_logger

from flows.data import fetch_available
from flows.run import run
from flows.runner import THREADS
from rnntrade.config import Experiment, find_experiment
from rnntrade.data.sessions import with_sessions_per_year
from tasks.production.notify import tell_failure, tell_promotions
from tasks.production.retraining import (
    Retraining,
    done_before,
    finish,
    judge,
    newest_split,
    one_at_a_time,
)
from tasks.tracking.runs import alive


@flow(
    flow_run_name="retrain-{experiment.name}",
    task_runner=THREADS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
def retrain(
    experiment: Experiment = find_experiment("walk_forward"),  # noqa: B008 # it is frozen
    force: bool = False,
) -> Retraining:
    """Train on all but the newest sessions, compare with the champion on these, promote the better.

    Does nothing when neither prices nor code nor settings are new since it was last done; so it
    may run twice, late, or after an outage: one run catches up with all that was missed.  A ticker
    whose source fails takes part with its stored bars; without any it is left out.
    experiment  what to retrain; its split gives way to the newest sessions, its prices to today's
    force       even when nothing is new
    """
    asked = newest_split(with_sessions_per_year(experiment))
    with alive(), one_at_a_time():
        prices, noticed, missing = fetch_available(asked.data)
        asked = replace(asked, data=replace(asked.data, tickers=tuple(prices)))
        before = None if force else done_before(asked, prices)
        if before is not None:
            get_run_logger().info("nothing new since %s: nothing to do", before.at)
            return before.model_copy(update={"status": "nothing new", "missing": missing})
        summary = run(asked, given=prices, noticed=noticed)
        judged = [
            judge(each, asked, prices, summary)
            for each in dict.fromkeys(model.task for model in asked.models)
        ]
        done = Retraining(
            status="retrained",
            experiment=experiment.name,
            until="",
            judged=judged,
            mlflow_run=summary.mlflow_run,
            report=summary.report,
            verdict=summary.verdict,
            missing=missing,
            warnings=summary.warnings,
        )
        done = finish(asked, prices, done)
        tell_promotions(judged)
        return done
