"""What a whole run says of a market whose edge is known, and of one without any."""

import pytest

from flows.run import run
from rnntrade.config import find_experiment, override
from tasks.summary import Summary
from tests.homes import lean

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server", "tracked")]


def judged(process: str) -> Summary:
    return run(override(find_experiment("control"), {"data.process": process}))


def assert_no_evidence(summary: Summary) -> None:
    assert summary.outcome == "no evidence"
    deflated = summary.figures["many_to_one_lstm"]["strategy.deflated_sharpe"]
    assert deflated is None or deflated < 0.95  # None: it never traded


def test_an_edge_of_known_size_is_evidence():
    with lean():
        summary = judged("p1")
    figures = summary.figures["many_to_one_lstm"]
    assert summary.outcome == "evidence"
    assert figures["strategy.verdict"] == "evidence"
    assert figures["strategy.deflated_sharpe"] >= 0.95
    assert 0.55 < figures["score"] < 0.63  # 0.60 is possible


def test_noise_is_no_evidence():
    with lean():
        assert_no_evidence(judged("n1"))


@pytest.mark.soak
@pytest.mark.parametrize("process", ["p1", "n1", "n2"])
def test_no_market_of_known_edge_is_audited_as_leaking(process):
    summary = judged(process)
    assert summary.outcome == ("evidence" if process == "p1" else "no evidence")
    assert summary.audit.startswith("No leak")
