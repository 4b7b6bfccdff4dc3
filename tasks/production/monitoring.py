"""A champion's health as tasks: looked at, recorded in MLflow, shown in Prefect, and announced.

A look is about a version, its bars, their newest session and the newest that is over.  What was
recorded about these is found again by its tags, so that running twice adds nothing.  Drift
and expiry start a retraining: they are Prefect events, and emitted once per version and session.
"""

import base64
import json
from datetime import date, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from filelock import FileLock
from pydantic import BaseModel

from rnntrade.config import DataConfig
from rnntrade.data.sessions import expected_sessions, last_settled
from rnntrade.errors import ConfigError
from rnntrade.production.decay import SCORES
from rnntrade.production.health import monitor, number
from rnntrade.report.catalogue import markdown_table, row
from tasks import clock
from tasks.home import artifacts_folder, data_folder
from tasks.plain import in_flow, run_logger, task
from tasks.production.notify import notify
from tasks.refs import Ref, Tables, data_fingerprint, publish, read_prices
from tasks.tracking.champions import Version, desk_of, require_champion, versions
from tasks.tracking.runs import client, noted_run, noted_runs, write

EXPERIMENT = "rnntrade-monitor"
ABOUT = "Health of the champions, a run per version and session: rnntrade monitor."
TASKS = ("direction", "regime", "forecast")
EVENTS = {"drifted": "rnntrade.drift", "expired": "rnntrade.expired"}
FIRST = "input_drift"  # of the figures
SYMBOLS = {"ok": "✓", "drifted": "✗", "expired": "✗", "warning": "!", "unknown": "?"}


class Monitored(BaseModel):
    """What a look at one champion found."""

    task: str
    version: str  # rnntrade-direction/3
    as_of: str  # newest session of the bars, YYYY-MM-DD
    due: str  # newest session that is over
    status: str  # the worst of the checks
    sentence: str
    checks: list[dict[str, Any]]  # of `production.health.Check`
    figures: dict[str, float]
    bars: str  # digest of the prices
    newest: bool  # False: a look back, although there are newer bars
    pictures: Ref[None]  # NAME.png
    events: list[str] = []  # emitted by this very look
    mlflow_run: str = ""
    new: bool = True  # False: the same was recorded before
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had
    warnings: list[str] = []  # about the prices

    def rows(self) -> list[dict[str, str]]:
        """The checks as a table: value, unit, p-value and limit each in a column of its own."""
        return [
            row(
                check=each["name"],
                value=number(each["value"], each["unit"]),
                unit=each["unit"],
                p_value=each["p_value"],
                limit=each["wanted"],
                status=each["status"],
            )
            for each in self.checks
        ]


def followed_versions() -> list[Version]:
    """The champion of every task that has one; RnntradeError when none has."""
    champions = {each.task: each for each in versions() if "champion" in each.aliases}
    found = [champions[task] for task in dict.fromkeys((*TASKS, *champions)) if task in champions]
    return found or [require_champion(TASKS[0])]


def prices_of(version: Version) -> DataConfig:
    """Which prices a version decides on."""
    return desk_of(version).experiment.data


@task("check-{version.task}")
def check_champion(
    version: Version, prices: Tables, as_of: date | None, missing: dict[str, str]
) -> Monitored:
    """Look at inputs, hits, calibration, the bars and the age, and draw it.

    as_of    evaluate as of this date; None: now
    missing  why a ticker's newest prices could not be had, by ticker
    errors   ConfigError when there is no bar up to that day
    """
    from rnntrade.data.archive import last_revision
    from rnntrade.production import upkeep
    from rnntrade.production.decisions import ask, observe
    from rnntrade.production.drift import feature_drift
    from rnntrade.report.canvas import png
    from rnntrade.report.drift_figures import figures

    desk, bars = desk_of(version), read_prices(prices)
    data = desk.experiment.data
    due = last_settled(data.calendar, clock.now())
    if as_of is not None:
        around = as_of - timedelta(days=14), as_of + timedelta(days=1)
        due = min(due, expected_sessions(data.calendar, *around)[-1])
    if not len(bars.upto(due).sessions):
        raise ConfigError(f"{due:%Y-%m-%d}: the bars begin on {bars.sessions[0]:%Y-%m-%d}.")
    evening = ask(desk, bars.upto(due))
    traded = {ticker: evening.prices.bars(ticker).index for ticker in desk.tickers}
    newest = {ticker: sessions[-1] for ticker, sessions in traded.items() if len(sessions)}
    revised = [last_revision(data_folder(), data.source, ticker, due) for ticker in prices]
    others = (
        upkeep.freshness(newest, due, data.calendar, missing),
        upkeep.revisions(revised),
        upkeep.age_check(desk, due),
    )
    seen = observe(evening)
    health = monitor(desk.reference, seen, desk.experiment.production, others)
    content = health.to_json()
    with publish("health") as out:
        if len(seen.recent_rows):
            inputs = feature_drift(desk.reference, seen.recent_rows, desk.experiment.production)
            for name, figure in figures(inputs, seen.validation, seen.recent).items():
                (out.folder / f"{name}.png").write_bytes(png(figure))
        (out.folder / "health.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    run_logger().info("%s: %s", version.name, health.sentence)
    return Monitored(
        task=version.task,
        version=version.name,
        as_of=f"{evening.day:%Y-%m-%d}",
        due=f"{due:%Y-%m-%d}",
        **content,
        figures={**seen.figures(), "revised": float(sum(each.revised for each in revised))},
        bars=data_fingerprint(prices),
        newest=bool(bars.sessions[-1] <= due),
        pictures=out.ref,
        missing=missing,
    )


@task("record-{found.task}")
def record_look(found: Monitored) -> Monitored:
    """Put a look into MLflow, unless the same is there."""
    which = {"version": found.version, "session": found.as_of, "due": found.due}
    tags = {f"monitor.{name}": value for name, value in {**which, "bars": found.bars}.items()}
    with FileLock(artifacts_folder() / "locks" / "monitor.guard"):
        if before := noted_runs(EXPERIMENT, tags):
            return found.model_copy(update={"mlflow_run": before[0].info.run_id, "new": False})
        name = f"{found.version.removeprefix('rnntrade-')} {found.due}"
        with noted_run(EXPERIMENT, ABOUT, name, tags) as run_id:
            about = {
                "task": found.task,
                "status": found.status,
                "sentence": found.sentence,
                "mlflow.source.name": "rnntrade monitor",
                "mlflow.note.content": markdown(found),
            }
            write(run_id, figures=_metrics(found), tags=about)
            client().log_artifacts(run_id, str(found.pictures.folder))
    return found.model_copy(update={"mlflow_run": run_id})


@task("announce-{found.task}")
def announce(found: Monitored) -> Monitored:
    """Emit an event for drift and for expiry, and tell people: once per version and session.

    A look back only records.  For an event a server is started where none is named.
    """
    emitted = []
    earlier = {"monitor.version": found.version, "monitor.session": found.as_of}
    for status, event in EVENTS.items():
        mark = f"event.{event}"
        sentences = [each["sentence"] for each in found.checks if each["status"] == status]
        if not (found.newest and sentences) or any(
            mark in run.data.tags for run in noted_runs(EXPERIMENT, earlier)
        ):
            continue
        from tasks.setup.temporary_server import start_server

        start_server()
        from prefect.events import emit_event

        reasons = "; ".join(sentences)
        emit_event(
            event,
            resource={
                "prefect.resource.id": f"rnntrade.champion.{found.task}",
                "prefect.resource.name": found.version,
            },
            payload={"version": found.version, "as_of": found.as_of, "sentence": reasons},
            id=uuid5(NAMESPACE_URL, f"{event}/{found.version}/{found.as_of}/{found.mlflow_run}"),
        )
        where = f"Version {found.version}, session {found.as_of}, MLflow run {found.mlflow_run}."
        notify(f"rnntrade: the {found.task} champion has {status}", f"{reasons}\n\n{where}")
        client().set_tag(found.mlflow_run, mark, clock.stamp())
        emitted.append(event)
    return found.model_copy(update={"events": emitted})


@task("show-{found.task}")
def show(found: Monitored) -> None:
    """Put the checks with their figures on Prefect's page of artifacts, where there is one."""
    if not in_flow():
        return
    from prefect.artifacts import create_markdown_artifact

    pictures = [
        f"![{path.stem.replace('_', ' ')}](data:image/png;base64,"
        f"{base64.b64encode(path.read_bytes()).decode()})"
        for path in sorted(found.pictures.folder.glob("*.png"), key=lambda each: each.stem != FIRST)
    ]
    create_markdown_artifact(
        key=f"health-{found.task}",
        markdown="\n\n".join([markdown(found), *pictures]),
        description=f"{found.version} on {found.as_of}: {found.status}",
    )


def markdown(found: Monitored) -> str:
    """The sentence, a table of the checks, and more about those that are not plain inputs."""
    rows = [{"": SYMBOLS[each["status"]], **each} for each in found.rows()]
    more = [
        f"- {each['sentence']}"
        for each in found.checks
        if each["status"] != "ok" or not each["name"].startswith("input ")
    ]
    title = f"# {found.version} after {found.as_of}: {found.status}"
    run = f"MLflow run `{found.mlflow_run}` of experiment {EXPERIMENT}" if found.mlflow_run else ""
    warned = "\n".join(f"- warning: {each}" for each in found.warnings)
    parts = [title, found.sentence, markdown_table(rows), "\n".join(more), warned, run]
    return "\n\n".join(filter(None, parts))


def _metrics(found: Monitored) -> dict[str, float]:
    metrics: dict[str, float | None] = dict(found.figures)
    for each in found.checks:
        name = each["name"]
        if name in SCORES:
            metrics[f"p_value.{name.replace(' ', '_')}"] = each["p_value"]
        else:
            plain = {"revisions": "revised_share"}.get(name, name)
            metrics[plain.replace("input ", "psi.")] = each["value"]
    return {name: value for name, value in metrics.items() if value is not None}
