"""The registered model: bars go in, the very prediction of the pipeline comes out, no pickle."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import mlflow
import pandas as pd
import pytest

from tasks.home import tracking_uri
from tasks.refs import read_manifest
from tasks.tracking import registry
from tasks.tracking.runs import client, fluent_api
from tests.conftest import PATIENCE, free_port
from tests.homes import finished_experiment, finished_run

pytestmark = pytest.mark.slow


@pytest.fixture
def registered(champions, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with fluent_api():
        yield


@pytest.fixture(scope="module")
def bars(champions) -> pd.DataFrame:
    """Every bar of the run, as a user would send them."""
    refs = read_manifest(champions / "artifacts" / "runs" / f"{finished_run(champions)}.json")
    prices = [ref for ref in refs if ref.step == "prices"]
    tables = [
        ref.load().reset_index().assign(ticker=ticker)
        for ref, ticker in zip(prices, ("AAA", "BBB"), strict=False)
    ]
    return pd.concat(tables)[["date", "ticker", "close"]]


OUTPUTS = {
    "regime": ["p_0", "p_1", "p_2", "p_3"],
    "direction": ["p_up"],
    "forecast": [f"r_{step}" for step in range(1, 6)],
}


def test_a_version_gives_the_pipelines_own_prediction(registered, bars):
    versions = client().search_model_versions()
    asked = finished_experiment()
    assert {each.tags["model"] for each in versions} == {m.name for m in asked.models}
    for version in versions:
        task = version.name.removeprefix("rnntrade-")
        served = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
        answer = served.predict(bars)
        folder = mlflow.artifacts.download_artifacts(
            run_id=version.run_id, artifact_path="predictions"
        )
        known = pd.read_parquet(Path(folder) / "table.parquet")
        newest = known.sort_values("decision").groupby("ticker").tail(1).set_index("ticker")
        assert list(answer["ticker"]) == ["AAA", "BBB"]
        expected = newest.loc[["AAA", "BBB"], OUTPUTS[task]].to_numpy()
        columns = [name for name in answer.columns if name.startswith(("p_", "r_"))]
        assert answer[columns].to_numpy().tolist() == expected.tolist()
        assert list(answer["as_of"]) == [str(day.date()) for day in newest["decision"]][:2]


def test_a_version_holds_no_pickle_and_knows_where_it_comes_from(registered):
    for version in client().search_model_versions():
        assert {"desk", "data.fingerprint", "verdict", "best_baseline"} <= set(version.tags)
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/1"))
        kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
        assert not kinds & {".pkl", ".pt", ".pth", ".bin", ".joblib"}
        assert ".safetensors" in kinds


def test_wrong_bars_are_told(registered, bars):
    served = mlflow.pyfunc.load_model("models:/rnntrade-direction@challenger")
    for broken, words in [
        (bars.assign(close=-bars["close"]), "positive"),
        (pd.concat([bars, bars.tail(1)]), "is there twice"),
        (bars.groupby("ticker").tail(10), "fewer sessions than one window needs"),
        (bars.drop(columns="close"), "close"),
    ]:
        with pytest.raises(Exception, match=words):
            served.predict(broken)


def test_mlflow_serves_a_version_over_http(registered, bars):
    port = free_port()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it looks for uvicorn
    server = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("mlflow")), "models", "serve"),
            *("--model-uri", "models:/rnntrade-direction@challenger", "--port", str(port)),
            *("--env-manager", "local"),
        ],
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(), "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        sent = bars.assign(date=bars["date"].dt.strftime("%Y-%m-%d"))
        body = {"dataframe_split": sent.to_dict(orient="split")}
        answer = _post(f"http://127.0.0.1:{port}/invocations", json.dumps(body), server)
        served = mlflow.pyfunc.load_model("models:/rnntrade-direction@challenger")
        assert answer["predictions"] == served.predict(bars).to_dict(orient="records")
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _post(url: str, body: str, server: subprocess.Popen) -> dict:
    deadline = time.monotonic() + PATIENCE
    request = Request(url, body.encode(), {"Content-Type": "application/json"})
    while True:
        try:
            with urlopen(request, timeout=PATIENCE) as response:
                return json.loads(response.read())
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        except (URLError, OSError):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.3)


def test_a_model_that_another_home_registers_at_the_same_moment_is_no_error(tracked, monkeypatch):
    registry._make_registered_model("rnntrade-direction", "direction")
    with monkeypatch.context() as a_moment_ago:
        a_moment_ago.setattr(client(), "search_registered_models", lambda *_: [])
        registry._make_registered_model("rnntrade-direction", "direction")
    assert [each.name for each in client().search_registered_models()] == ["rnntrade-direction"]
