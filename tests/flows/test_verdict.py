"""What a whole run says of a market whose edge is known, and of one without any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))


def said(home: Path, process: str) -> dict:
    command = [RNNTRADE, "run", "control", "--json", "--set", f"data.process={process}"]
    environment = {**os.environ, "RNNTRADE_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_edge_of_known_size_is_evidence(tmp_path):
    summary = said(tmp_path, "p1")
    figures = summary["figures"]["many_to_one_lstm"]
    assert summary["outcome"] == "evidence"
    assert figures["strategy.verdict"] == "evidence"
    assert figures["strategy.deflated_sharpe"] >= 0.95
    assert 0.55 < figures["score"] < 0.63  # 0.60 is possible
    assert summary["audit"].startswith("No leak")


@pytest.mark.parametrize("process", ["n1", "n2"])
def test_noise_is_no_evidence(tmp_path, process):
    summary = said(tmp_path, process)
    figures = summary["figures"]["many_to_one_lstm"]
    assert summary["outcome"] == "no evidence"
    deflated = figures["strategy.deflated_sharpe"]
    assert deflated is None or deflated < 0.95  # None: it never traded
