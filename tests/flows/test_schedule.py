"""prefect.yaml: its rules are the calendar's, its flows exist and take what it gives them."""

from datetime import UTC, datetime

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import parameter_schema
from pydantic import TypeAdapter
from typer.testing import CliRunner

from flows.cli import app
from flows.deployments import deployments_of, full_name, pools, served
from flows.schedule import FILE, after_close, next_time, rewritten
from rnntrade.config import Experiment, find_experiment, override
from tests.conftest import free_port

# exchange_calendars' own
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")

CONTENT = yaml.safe_load(FILE.read_text())
NAMES = ["run/on-demand", "signal/after-close", "monitor/after-close", "retrain/after-close"]


def flow_of(deployment: dict) -> Flow:
    return load_flow_from_entrypoint(deployment["entrypoint"])


def test_the_schedules_in_prefect_yaml_are_those_of_the_calendar():
    text = FILE.read_text()
    assert rewritten(text, "XNYS") == text, "run: python -m flows.schedule"
    for deployment in CONTENT["deployments"]:
        for schedule in deployment["schedules"]:
            made = after_close(schedule["slug"], "XNYS")
            assert {name: schedule[name] for name in made} == made
            assert set(made) == {"timezone", "rrule"}


def test_writing_the_schedules_changes_nothing_else():
    text = FILE.read_text()
    london = rewritten(text, "XLON")
    assert "Europe/London" in london
    assert "America/New_York" not in london
    assert rewritten(london, "XNYS") == text


def test_drift_and_expiry_of_any_champion_start_the_retraining():
    [trigger] = [t for each in CONTENT["deployments"] for t in each.get("triggers", [])]
    assert trigger["expect"] == ["rnntrade.drift", "rnntrade.expired"]
    assert trigger["match"] == {"prefect.resource.id": "rnntrade.champion.*"}
    assert trigger in CONTENT["deployments"][-1]["triggers"]


def test_every_flow_is_there_and_named_as_documented():
    assert [full_name(each) for each in CONTENT["deployments"]] == NAMES


def test_the_signal_comes_before_the_monitor_and_the_retraining_last():
    minutes = {
        full_name(each): int(each["schedules"][0]["slug"].removeprefix("close-plus-"))
        for each in CONTENT["deployments"]
        if each["schedules"]
    }
    assert sorted(minutes, key=minutes.__getitem__) == NAMES[1:]
    assert min(minutes.values()) > 15  # a bar is not final before


def test_the_experiment_goes_to_the_flows_that_take_one_whole_and_typed():
    chosen = override(find_experiment("debug"), {"seed": 7, "data.tickers": "AAA"})
    given = {
        full_name(each): each.get("parameters") for each in deployments_of(chosen)["deployments"]
    }
    assert set(given) == set(NAMES)
    for name in ("run/on-demand", "retrain/after-close"):
        read = TypeAdapter(Experiment).validate_python(given[name]["experiment"])
        assert read == chosen
    assert given["signal/after-close"] is None


def test_the_form_shows_every_field_with_its_type_default_and_choices():
    for deployment in CONTENT["deployments"]:
        schema = parameter_schema(flow_of(deployment)).model_dump()
        if "experiment" not in schema["properties"]:
            continue
        kinds = schema["definitions"]
        assert kinds["Experiment"]["properties"]["data"]["$ref"].endswith("DataConfig")
        assert kinds["DataConfig"]["properties"]["start"] == {
            "title": "Start",
            "type": "string",
            "format": "date",
            "default": "2015-01-01",
        }
        assert kinds["SplitConfig"]["properties"]["kind"]["enum"][:2] == ["holdout", "walk_forward"]
        assert kinds["ModelConfig"]["properties"]["horizon"]["type"] == "integer"
        for kind in kinds.values():
            assert all(
                "type" in f or "$ref" in f or "anyOf" in f for f in kind["properties"].values()
            )


def test_another_exchange_brings_its_own_schedule():
    chosen = override(find_experiment("debug"), {"data.calendar": "XLON"})
    schedules = [s for each in deployments_of(chosen)["deployments"] for s in each["schedules"]]
    assert {schedule["timezone"] for schedule in schedules} == {"Europe/London"}
    assert next_time("close-plus-20", "XLON", datetime(2026, 12, 24, tzinfo=UTC)) == datetime(
        2026, 12, 24, 12, 50, tzinfo=UTC
    )


def test_a_schedule_of_another_name_is_left_alone():
    assert after_close("weekly", "XNYS") == {}
    assert next_time("weekly", "XNYS", datetime(2026, 12, 24, tzinfo=UTC)) is None


def test_after_the_calendars_end_no_next_time_is_known():
    assert next_time("close-plus-20", "XNYS", datetime(2040, 1, 1, tzinfo=UTC)) is None


def test_another_work_pool_takes_all_deployments():
    assert pools(deployments_of(find_experiment("debug"))) == ["rnntrade-local"]
    assert pools(deployments_of(find_experiment("debug"), "elsewhere")) == ["elsewhere"]


def test_what_is_served_is_what_is_deployed():
    content = deployments_of(find_experiment("debug"))
    made = served(content)
    assert [f"{each.flow_name}/{each.name}" for each in made] == NAMES
    for deployment, asked in zip(made, content["deployments"], strict=True):
        assert deployment.entrypoint == asked["entrypoint"]
        assert deployment.tags == asked["tags"]
        assert deployment.work_pool_name is None
        rules = [schedule.schedule.rrule for schedule in deployment.schedules or []]
        assert rules == [schedule["rrule"] for schedule in asked["schedules"]]
        assert len(deployment.triggers) == len(asked.get("triggers", []))
        limited = "concurrency_limit" in asked
        assert deployment.concurrency_limit == (1 if limited else None)
        strategy = (
            deployment.concurrency_options and deployment.concurrency_options.collision_strategy
        )
        assert strategy == ("CANCEL_NEW" if limited else None)


@pytest.mark.parametrize("command", ["deploy", "serve-flows"])
def test_no_server_is_one_clear_line(command: str):
    address = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: address}):
        result = CliRunner().invoke(app, [command, "debug", "--wait", "0"])
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: no Prefect server answers at {address}")
    assert "rnntrade ui" in line

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        result = CliRunner().invoke(app, [command, "debug", "--wait", "0"])
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("error: no Prefect server is named: PREFECT_API_URL is not set.")


def test_an_unknown_experiment_gets_a_suggestion():
    result = CliRunner().invoke(app, ["deploy", "walk_foward"])
    assert result.exit_code == 2
    assert "walk_forward" in result.stderr
