"""The served champion: the signal's own numbers, mistakes told, nothing left, no pickle read."""

import json
import logging
import os
import pickle
import random
import signal as signals
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.servers import _listening
from flows.scheduled import signal
from rnntrade.codec import load
from rnntrade.errors import DataError, RnntradeError
from rnntrade.production.desk import Desk
from tasks.home import artifacts_folder, home
from tasks.production.serving import LARGEST, Followed
from tasks.tracking.champions import desk_of, desk_ref, promote, require_champion, versions
from tasks.tracking.runs import fluent_api
from tests.conftest import PATIENCE, free_port

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("champions")]
JSON = {"Content-Type": "application/json"}
SHORT = 130  # sessions: enough for one window of every champion, after the features' warm-up


@pytest.fixture(scope="module")
def closes(champions) -> dict[str, pd.Series]:
    return stored()


def stored() -> dict[str, pd.Series]:
    """By ticker, every close that there is."""
    files = sorted((home() / "data").glob("source=synthetic/*/bars.parquet"))
    return {f.parent.name.partition("=")[2]: pd.read_parquet(f)["close"] for f in files}


@pytest.fixture(scope="module")
def served(champions, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """`rnntrade serve` as a process of its own."""
    with serving(tmp_path_factory.mktemp("serving")) as server:
        yield server


@contextmanager
def serving(folder: Path, ended_by: int = signals.SIGTERM) -> Iterator[SimpleNamespace]:
    """A server that ends cleanly when it is asked to."""
    port, log, temporary = free_port(), folder / "log", folder / "tmp"
    temporary.mkdir()
    rnntrade = Path(sys.executable).with_name("rnntrade")
    with log.open("w") as written:
        process = subprocess.Popen(
            [rnntrade, "serve", "--port", str(port)],
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=written,
            stderr=written,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "Serving" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield SimpleNamespace(port=port, process=process, log=log, temporary=temporary)
        process.send_signal(ended_by)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def rows(closes: dict[str, pd.Series], sessions: int = 10**6) -> list[dict[str, Any]]:
    return [
        {"date": f"{day:%Y-%m-%d}", "ticker": ticker, "close": close}
        for ticker, series in closes.items()
        for day, close in series.iloc[-sessions:].items()
    ]


def post(port: int, body: Any, headers: dict[str, str] = JSON) -> tuple[int, Any]:
    """Status and answer, which is JSON whatever was asked."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", "/signal", sent, headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_the_answer_is_the_signal_to_the_last_bit(served, closes):
    sessions = closes["AAA"].index
    stranger = {"date": f"{sessions[-1]:%Y-%m-%d}", "ticker": "ZZZ", "close": 1.0}
    bars = random.Random(0).sample([*rows(closes), stranger], len(rows(closes)) + 1)  # any order
    for day in [*sessions[-126::25], sessions[-1]]:
        said = signal(day.date(), ["ZZZ"])[0].signal
        assert said["tickers"][0]["probability"] is not None
        assert post(served.port, {"bars": bars, "as_of": f"{day:%Y-%m-%d}"}) == (200, said)
    tonight = signal()[-1].signal
    bars = rows(stored())  # a session may have ended since
    assert post(served.port, {"bars": bars}) == (200, tonight)
    late = [bar for bar in bars if bar["date"] < tonight["as_of"]]
    assert post(served.port, {"bars": late})[1]["abstain"][0].startswith("stale: ")


def test_mlflow_s_own_model_gives_the_signal_s_probability_and_target(closes):
    champion = require_champion("direction")
    bars = pd.DataFrame(rows(closes)).astype({"date": "datetime64[ns]"})
    with fluent_api():
        model = mlflow.pyfunc.load_model(f"models:/rnntrade-direction/{champion.number}")
    for day in closes["AAA"].index[-60::15]:
        said = signal(day.date())[0].signal
        answer = model.predict(bars[bars["date"] <= day])
        for row, ticker in zip(answer.to_dict("records"), said["tickers"], strict=True):
            assert (row["ticker"], row["as_of"]) == (ticker["ticker"], said["as_of"])
            assert (row["p_up"], row["target"]) == (ticker["probability"], ticker["target"])


def with_first(bars: list[dict], **changes: Any) -> dict:
    return {"bars": [{**bars[0], **changes}, *bars[1:]]}


def without(bars: list[dict], name: str) -> dict:
    return {"bars": [{key: v for key, v in bars[0].items() if key != name}, *bars[1:]]}


MISTAKES = {
    "no date": (lambda bars: without(bars, "date"), "bars.0.date", "required"),
    "no ticker": (lambda bars: without(bars, "ticker"), "bars.0.ticker", "required"),
    "no close": (lambda bars: without(bars, "close"), "bars.0.close", "required"),
    "no bars": (lambda bars: {"as_of": "2024-01-02"}, "bars", "required"),
    "bars are none": (lambda bars: {"bars": []}, "bars", "at least 1"),
    "bars are a number": (lambda bars: {"bars": 3}, "bars", "array"),
    "a bar is a number": (lambda bars: {"bars": [3]}, "bars.0", "object"),
    "text for a close": (lambda bars: with_first(bars, close="472.6"), "bars.0.close", "number"),
    "truth for a close": (lambda bars: with_first(bars, close=True), "bars.0.close", "number"),
    "nothing for a close": (lambda bars: with_first(bars, close=None), "bars.0.close", "number"),
    "NaN": (lambda bars: with_first(bars, close=float("nan")), "bars.0.close", ""),
    "infinity": (lambda bars: with_first(bars, close=float("inf")), "bars.0.close", ""),
    "a huge number": (lambda bars: with_first(bars, close=10**400), "bars.0.close", ""),
    "a negative close": (lambda bars: with_first(bars, close=-1.0), "bars.0.close", "greater"),
    "a close of zero": (lambda bars: with_first(bars, close=0), "bars.0.close", "greater"),
    "no such day": (lambda bars: with_first(bars, date="2024-02-30"), "bars.0.date", "date"),
    "seconds for a date": (lambda bars: with_first(bars, date=1704153600), "bars.0.date", "date"),
    "a day too far": (lambda bars: with_first(bars, date="9999-12-31"), "bars.0.date", "2199"),
    "a ticker without a name": (lambda bars: with_first(bars, ticker=""), "bars.0.ticker", "1"),
    "a long ticker": (lambda bars: with_first(bars, ticker="A" * 65), "bars.0.ticker", "64"),
    "a session twice": (lambda bars: {"bars": [*bars, bars[0]]}, "bars", "is there twice"),
    "a short history": (lambda bars: {"bars": bars[-10:] + bars[SHORT - 10 : SHORT]}, "bars", ""),
    "no ticker of the champion's": (
        lambda bars: {"bars": [{**bar, "ticker": "ZZZ"} for bar in bars]},
        "bars",
        "No bars of AAA, BBB",
    ),
    "only what was learned": (
        lambda bars: {"bars": [{**bar, "date": f"19{bar['date'][2:]}"} for bar in bars]},
        "bars",
        "nothing is left to decide",
    ),
    "many tickers": (
        lambda bars: {"bars": [*bars, *({**bars[0], "ticker": f"T{n}"} for n in range(100))]},
        "bars",
        "102 tickers",
    ),
    "an unknown as_of": (lambda bars: {"bars": bars, "as_of": "2024-01-06"}, "as_of", "no session"),
    "as_of is no date": (lambda bars: {"bars": bars, "as_of": "today"}, "as_of", "date"),
    "a misspelt field": (
        lambda bars: {"bars": bars, "asof": "2024-01-02"},
        "asof",
        "no such field",
    ),
    "an array": (lambda bars: bars, "", "object"),
    "a number": (lambda bars: 7, "", "object"),
    "nothing": (lambda bars: b"", "", "JSON"),
    "no JSON": (lambda bars: b"date,ticker,close", "", "JSON"),
    "half of it": (lambda bars: json.dumps({"bars": bars}).encode()[:-9], "", "JSON"),
    "no text": (lambda bars: b'{"bars": "\xff\xfe"}', "", "JSON"),
    "half a character": (lambda bars: b'{"bars": "\\ud800"}', "", "JSON"),
    "deep nesting": (lambda bars: b"[" * 10**5 + b"]" * 10**5, "", "JSON"),
}


@pytest.mark.parametrize(("wrong", "field", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_field(served, closes, wrong, field, words):
    status, told = post(served.port, wrong(rows(closes, SHORT)))
    (error,) = told["errors"]
    assert (status, error["field"]) == (400, field), told
    assert words in error["error"]
    assert len(error["error"]) > 10


def test_other_kinds_of_request_are_told_in_the_same_form(served, closes):
    body = json.dumps({"bars": rows(closes, SHORT)}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        status, told = post(served.port, body, {"Content-Type": kind})
        assert (status, told["errors"][0]["field"]) == (400, "content-type")
    connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    for method, path, status in [
        ("GET", "/signal", 405),
        ("DELETE", "/health", 405),
        ("GET", "/", 404),
        ("POST", "/signal/", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/../../etc/passwd", 404),
    ]:
        connection.request(method, path)
        response = connection.getresponse()
        told = json.loads(response.read())
        assert response.status == status, (method, path)
        assert list(told["errors"][0]) == ["field", "error"]


def test_a_request_that_is_too_large_is_not_read_to_its_end(served):
    head = "POST /signal HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for announced, sent in [
        (f"Content-Length: {LARGEST + 1}\r\n\r\n", b""),
        ("Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n" % (2**20, b" " * 2**20) * 17),
    ]:
        with socket.create_connection(("127.0.0.1", served.port), 60) as asking:
            asking.sendall((head + announced).encode() + sent)
            assert b" 413 " in asking.recv(100)


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=pytest.mark.soak)])
def test_malformed_requests_leave_nothing_behind(served, closes, number):
    bars, rng = rows(closes, SHORT), random.Random(20240102)
    connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    kinds: dict[str, dict[int, int]] = {}
    before, memory, files = left_behind(served), [], []
    for done in range(number):
        if done % (number // 5) == 0:
            memory.append(resident_bytes(served))
            files.append(open_files(served))
        kind = rng.choice(list(MUTATIONS))
        method, path, headers, body = MUTATIONS[kind](rng, bars)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        counted = kinds.setdefault(kind, {})
        counted[response.status] = counted.get(response.status, 0) + 1
        assert response.status == 200 or 400 <= response.status < 500, (kind, body[-300:], answer)
        assert ("tickers" if response.status == 200 else "errors") in answer
        if done % 50 == 0:
            leave_early(served.port, rng)
    assert min(sum(counted.values()) for counted in kinds.values()) > number // 120, kinds
    answered = sum(counted.get(200, 0) for counted in kinds.values())
    assert 0 < answered < number // 5, kinds  # most were malformed; what was not has an answer
    connection.close()
    assert post(served.port, {"bars": bars})[0] == 200
    deadline = time.monotonic() + PATIENCE
    while open_files(served) > files[0] and time.monotonic() < deadline:
        time.sleep(0.1)  # connections that are being closed
    assert open_files(served) <= files[0]
    assert left_behind(served) == before
    assert resident_bytes(served) - memory[1] < 64 * 2**20, memory
    assert "Traceback" not in served.log.read_text()


def open_files(served: SimpleNamespace) -> int:
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


def resident_bytes(served: SimpleNamespace) -> int:
    pages = int(Path(f"/proc/{served.process.pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def left_behind(served: SimpleNamespace) -> set[Path]:
    places = (served.temporary, artifacts_folder(), home() / "journal", home() / "data")
    return {path for place in places for path in place.rglob("*")}


def leave_early(port: int, rng: random.Random) -> None:
    """Speak something that is no HTTP, or stop in the middle of a request."""
    with socket.create_connection(("127.0.0.1", port), 60) as asking:
        if rng.random() < 0.5:
            asking.sendall(rng.randbytes(50) + b"\r\n\r\n")
        else:
            kind = b"Content-Type: application/json\r\nContent-Length: 500"
            asking.sendall(b"POST /signal HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n{" % kind)


KINDS = ["text/csv", "*/*", "json", ";;", "application/json5", "application/json, text/csv"]
Sent = tuple[str, str, dict[str, str], bytes]
VALUES = [None, True, [], {}, "x", "1.5", -1, 0, -0.0, 1e308, 5e-324, 10**400, float("nan")]
VALUES += [float("-inf"), "9999-12-31", "0000-00-00", "2024-02-30", "2024-01-02T00:00:00Z", 17e8]
TICKERS = ["", "\0", "\u202e", "é" * 64, "A\nB", "../../x", "😀", "{}", "'; drop table", "a" * 9999]


def sent(asked: Any, **headers: str) -> Sent:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return "POST", "/signal", {**JSON, **headers}, body


def replaced(rng: random.Random, bars: list[dict], names: list[str], values: list[Any]) -> Sent:
    chosen = [dict(bar) for bar in bars]
    for _ in range(rng.choice([1, 1, 1, 5, 50])):
        chosen[rng.randrange(len(chosen))][rng.choice(names)] = rng.choice(values)
    return sent({"bars": chosen})


def dropped(rng: random.Random, bars: list[dict]) -> Sent:
    place = rng.randrange(len(bars))
    name = rng.choice(["date", "ticker", "close"])
    bar = {key: value for key, value in bars[place].items() if key != name}
    return sent({"bars": [*bars[:place], bar, *bars[place + 1 :]]})


def flipped(rng: random.Random, bars: list[dict]) -> Sent:
    body = bytearray(json.dumps({"bars": bars}).encode())
    for _ in range(rng.choice([1, 3, 30])):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return sent(bytes(body))


def few(rng: random.Random, bars: list[dict]) -> Sent:
    return sent({"bars": rng.sample(bars, rng.randrange(1, 100))})


def whole(rng: random.Random, bars: list[dict]) -> dict:
    return {"bars": rng.sample(bars, len(bars))}


MUTATIONS = {
    "wrong value": lambda rng, bars: replaced(rng, bars, ["date", "ticker", "close"], VALUES),
    "wrong date": lambda rng, bars: replaced(rng, bars, ["date"], ["1899-12-31", "2024-1-2", 0]),
    "odd ticker": lambda rng, bars: replaced(rng, bars, ["ticker"], TICKERS),
    "wild close": lambda rng, bars: replaced(rng, bars, ["close"], [1e300, 1e-300, 1e9, 1e-9]),
    "field dropped": dropped,
    "session twice": lambda rng, bars: sent({"bars": [*bars, rng.choice(bars)]}),
    "cut off": lambda rng, bars: sent(json.dumps({"bars": bars}).encode()[: rng.randrange(20_000)]),
    "bytes flipped": flipped,
    "noise": lambda rng, bars: sent(rng.randbytes(rng.randrange(2000))),
    "nested": lambda rng, bars: sent(b'{"bars":' * rng.randrange(1, 3000)),
    "another top": lambda rng, bars: sent(rng.choice([bars, 1, "x", None, [], True, {}, [[]]])),
    "few bars": few,
    "one ticker": lambda rng, bars: sent({"bars": bars[: rng.randrange(1, SHORT)]}),
    "more fields": lambda rng, bars: sent({**whole(rng, bars), rng.choice(TICKERS): 1}),
    "wrong as_of": lambda rng, bars: sent({**whole(rng, bars), "as_of": rng.choice(VALUES[1:])}),
    "wrong kind": lambda rng, bars: sent(b"{}", **{"Content-Type": rng.choice(KINDS)}),
    "wrong place": lambda rng, bars: ("POST", f"/{rng.randrange(10**9)}", JSON, b"{}"),
    "wrong method": lambda rng, bars: (rng.choice(["GET", "PUT", "PATCH"]), "/signal", JSON, b"{}"),
}


def test_small_answers_are_sent_at_once():
    with _listening("127.0.0.1", free_port()) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on


def test_what_keeps_it_from_starting_is_one_line(served, tmp_path, monkeypatch):
    taken = CliRunner().invoke(app, ["serve", "--port", str(served.port)])
    assert (taken.exit_code, len(taken.stderr.splitlines())) == (1, 1)
    assert f"cannot listen on 127.0.0.1, port {served.port}" in taken.stderr
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "new"))
    nobody = CliRunner().invoke(app, ["serve", "--port", str(free_port())])
    assert nobody.exit_code == 1
    assert nobody.stderr.splitlines()[-1].startswith("error: there is no champion for direction")


def test_a_promotion_is_followed_and_a_registry_that_is_gone_changes_nothing(monkeypatch, told):
    champion, other = require_champion("direction"), versions("direction")[0]
    if other.number == champion.number:
        other = versions("direction")[1]
    followed = Followed()
    before = followed.seats
    promote(other, "for a test")
    try:
        followed.look_again()
        assert followed.names()["direction"] == other.name
        assert followed.seats["regime"] is before["regime"]  # not loaded again
    finally:
        promote(champion, "for a test")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    followed.look_again()
    assert followed.names()["direction"] == other.name
    assert "the champions stay as they are" in told[-1]
    assert "does not answer" in told[-1]


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What is warned of."""
    messages: list[str] = []
    listening = logging.Handler()
    listening.emit = lambda record: messages.append(record.getMessage())
    log = logging.getLogger("prefect.rnntrade")
    log.addHandler(listening)
    yield messages
    log.removeHandler(listening)


class Poison:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def places() -> Iterator[tuple[list[Path], list[Path]]]:
    """The champion's weights among the artifacts, and in the registry; mended afterwards."""
    here = sorted(desk_ref(require_champion("direction")).folder.rglob("arrays.safetensors"))
    names = {path.read_bytes(): path for path in here}
    there = [
        path
        for path in sorted((home() / "mlartifacts").rglob("arrays.safetensors"))
        if path.read_bytes() in names
    ]
    assert len(there) >= len(here) == 1
    whole = {path: path.read_bytes() for path in (*here, *there)}
    yield here, there
    for path, content in whole.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def refused() -> str:
    """How the registry, and the command, refuse the champion."""
    with pytest.raises(RnntradeError) as error:
        desk_of(require_champion("direction"))
    served = CliRunner().invoke(app, ["serve", "--port", str(free_port())])
    assert served.exit_code == 1
    assert "Traceback" not in served.stderr
    assert served.stderr.splitlines()[-1] == f"error: {error.value}"
    return str(error.value)


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(places, tmp_path):
    marker = tmp_path / "executed"
    poison = pickle.dumps(Poison(marker))
    pickle.loads(poison)
    assert marker.exists()  # so it would
    marker.rmdir()
    here, there = places
    for path in (*here, *there):
        path.write_bytes(poison)
    assert "do not answer to their digest" in refused()
    with pytest.raises(DataError, match=r"arrays\.safetensors cannot be read as Desk"):
        load(Desk, here[0].parent)  # even where nobody looks at digests
    assert not marker.exists()


def test_a_pickle_among_the_artifacts_alone_is_replaced_from_the_registry(places, tmp_path, told):
    marker = tmp_path / "executed"
    here, _ = places
    whole = here[0].read_bytes()
    here[0].write_bytes(pickle.dumps(Poison(marker)))
    assert desk_of(require_champion("direction")).tickers == ("AAA", "BBB")
    assert here[0].read_bytes() == whole
    assert "does not answer to its digest; restored" in told[-1]
    assert not marker.exists()


def test_truncated_weights_are_restored_and_refused_when_truncated_everywhere(places, tmp_path):
    here, there = places
    whole = here[0].read_bytes()
    here[0].write_bytes(whole[:-7])
    with serving(tmp_path, signals.SIGINT) as server:  # knows of no registry but by its home
        assert here[0].read_bytes() == whole
    warned, _ = server.log.read_text().splitlines()  # and who is served, and where: no more
    assert "does not answer to its digest; restored" in warned
    for path in (*here, *there):
        path.write_bytes(path.read_bytes()[:-7])
    assert "truncated, or exchanged" in refused()
