"""A retraining policy, backtested: the schedule's own functions under a simulated clock."""

from dataclasses import replace

from prefect import flow, get_run_logger

from flows.data import fetch
from flows.run import prepare, start_training
from flows.runner import THREADS
from rnntrade.config import Experiment, find_experiment
from rnntrade.data.sessions import with_sessions_per_year
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.desk import Desk
from tasks.production.policies import PolicyRow, compare_policies, cut_prices, follow, tonight
from tasks.refs import Ref
from tasks.steps import make_desk, predict, prepare_device
from tasks.tracking.runs import alive

POLICIES = ("never", "monthly", "quarterly", "on_drift")


@flow(flow_run_name="backtest_policy-{experiment.name}", task_runner=THREADS)
def backtest_policy(
    experiment: Experiment = find_experiment("walk_forward"),  # noqa: B008 # it is frozen
    policies: list[str] | None = None,
    gate: bool = False,
) -> list[PolicyRow]:
    """Live through the sessions after the first training part once for each policy.

    policies  never, monthly, quarterly, on_drift, or every_N sessions
    gate      replace the model only by one that is promoted, judged on the newest sessions; else
              each retraining replaces it, and learns from everything up to its evening
    returns   one row a policy; its decisions are in the folder that it names
    """
    device = prepare_device(experiment.compute.device)
    model = next(each for each in experiment.models if objective_of(each).traded)
    asked = with_sessions_per_year(replace(experiment, models=(model,)))
    with alive():
        prices, _ = fetch(asked.data)

        def retrain(session: str, before: int) -> Ref[Desk]:
            """The desk of one evening, from the bars up to it."""
            known = {ticker: cut_prices(ticker, ref, session) for ticker, ref in prices.items()}
            evening = tonight(asked, gate)
            made = prepare(evening, known, judged=gate)
            fits = start_training(evening, made.windows, 1, device, before)[model.name]
            done = [[each.result() for each in members] for members in fits]
            windows = made.windows[model.name]
            predictions = predict(windows, done, model, device)
            return make_desk(evening, model, done[0], windows, predictions, made.labels[-1])

        followed = {}
        for policy in policies or POLICIES:
            followed[policy] = follow(asked, prices, policy, gate, retrain)
            get_run_logger().info("%s: %s", policy, followed[policy].folder)
        return compare_policies(asked, prices, followed)
