"""People are told, by web hook, block or e-mail; what cannot be delivered harms nothing."""

import logging

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret

from flows import evening as signals
from flows.retrain import retrain
from flows.scheduled import monitor, signal
from rnntrade.config import find_experiment, override
from rnntrade.errors import ConfigError, RnntradeError
from tasks.production.notify import notify, receivers, shown, tell_abstention, tell_promotions
from tasks.production.retraining import Judged
from tasks.production.signals import Said
from tests.conftest import free_port
from tests.tasks.receivers import post_office, web_receiver


@pytest.fixture
def hook(monkeypatch):
    with web_receiver() as (address, got):
        monkeypatch.setenv("RNNTRADE_NOTIFY", address)
        yield got


def test_an_address_gets_subject_and_body_as_json(hook):
    assert notify("a subject", "a body, with ümlaut") == [shown(receivers()[0])]
    assert hook == [{"subject": "a subject", "body": "a body, with ümlaut"}]


def test_nobody_is_told_when_nobody_asked(monkeypatch):
    monkeypatch.delenv("RNNTRADE_NOTIFY", raising=False)
    assert notify("a subject", "a body") == []


def test_an_e_mail_arrives(monkeypatch):
    with post_office() as (port, got):
        address = (
            f"mailto://127.0.0.1:{port}?from=desk@example.com&to=me@example.com,you@example.com"
        )
        monkeypatch.setenv("RNNTRADE_NOTIFY", address)
        assert notify("a subject", "a body, with ümlaut") == [f"mailto://127.0.0.1:{port}"]
    assert [each["to"] for each in got] == [["me@example.com"], ["you@example.com"]]
    assert {each["subject"] for each in got} == {"a subject"}
    assert all("a body, with ümlaut" in each["body"] for each in got)


def test_a_block_saved_on_the_server_is_told(prefect_server, monkeypatch):
    with web_receiver() as (address, got):
        message = {"title": "{{subject}}", "text": "{{body}}"}
        block = CustomWebhookNotificationBlock(name="ops", url=address, json_data=message)
        block.save("ops", overwrite=True)
        monkeypatch.setenv("RNNTRADE_NOTIFY", "custom-webhook/ops")
        assert notify("a subject", "a body") == ["custom-webhook/ops"]
    assert got == [{"title": "a subject", "text": "a body"}]


def test_who_cannot_be_reached_is_logged_without_a_password_and_the_others_are_told(
    prefect_server, monkeypatch, caplog
):
    Secret(value="not for this").save("word", overwrite=True)
    closed = free_port()
    away = f"http://127.0.0.1:{closed}/topsecret"
    CustomWebhookNotificationBlock(name="away", url=away).save("away", overwrite=True)
    with web_receiver() as (address, got), web_receiver(status=500) as (broken, _):
        everybody = (
            f"http://me:topsecret@127.0.0.1:{closed}/token",
            f"mailto://me:topsecret@127.0.0.1:{closed}?to=me@example.com",
            "nosuch://topsecret@nowhere",
            "slack-webhook/not-there",
            "custom-webhook/away",
            "secret/word",
            broken,
            address,
        )
        monkeypatch.setenv("RNNTRADE_NOTIFY", ", ".join(everybody))
        with caplog.at_level(logging.WARNING):
            assert notify("a subject", "a body") == [shown(address)]
    assert got == [{"subject": "a subject", "body": "a body"}]
    told = [record.getMessage() for record in caplog.records if "was not told" in record.message]
    assert len(told) == 7
    assert "topsecret" not in caplog.text
    assert "token" not in caplog.text
    assert "secret/word" in told[5]
    assert "no notification block" in told[5]
    assert "500" in told[6]


def test_names_and_addresses_are_told_apart_by_commas(monkeypatch):
    mail = "mailtos://me:word@mail.example.com?to=me@example.com,you@example.com"
    monkeypatch.setenv("RNNTRADE_NOTIFY", f"custom-webhook/ops, {mail},https://example.com/a,b ,")
    assert receivers() == ["custom-webhook/ops", mail, "https://example.com/a,b"]
    assert [shown(each) for each in receivers()] == [
        "custom-webhook/ops",
        "mailtos://mail.example.com",
        "https://example.com",
    ]


def test_a_flow_that_fails_tells_why(prefect_server, tracked, hook):
    with pytest.raises(RnntradeError):
        monitor()
    with pytest.raises(RnntradeError):
        signal()
    with pytest.raises(ConfigError):
        retrain(override(find_experiment("debug"), {"split.sealed_sessions": "20"}))
    assert [each["subject"] for each in hook] == [
        "rnntrade: monitor has failed",
        "rnntrade: signal has failed",
        "rnntrade: retrain has failed",
    ]
    assert "there is no champion for direction" in hook[0]["body"]
    assert "sealed" in hook[2]["body"]


def test_a_flow_that_crashes_tells_it_through_a_block_too(prefect_server, tracked, monkeypatch):
    def die() -> None:
        raise SystemExit(3)

    monkeypatch.setattr(signals, "followed", die)
    with web_receiver() as (address, got):
        message = {"title": "{{subject}}", "text": "{{body}}"}
        block = CustomWebhookNotificationBlock(name="night", url=address, json_data=message)
        block.save("night", overwrite=True)
        monkeypatch.setenv("RNNTRADE_NOTIFY", "custom-webhook/night")
        with pytest.raises(SystemExit):
            signal()
    assert [each["title"] for each in got] == ["rnntrade: signal has crashed"]


def test_only_a_promotion_is_told(hook):
    one = Judged(
        task="direction",
        challenger="rnntrade-direction/4",
        champion="rnntrade-direction/3",
        promoted=True,
        reasons=["audit: clean", "luck: better by 0.02 a year"],
    )
    tell_promotions([one, one.model_copy(update={"task": "regime", "promoted": False})])
    assert hook == [
        {
            "subject": "rnntrade: rnntrade-direction/4 is the champion for direction",
            "body": "It takes the place of rnntrade-direction/3.\n\n"
            "- audit: clean\n- luck: better by 0.02 a year",
        }
    ]


@pytest.mark.parametrize(
    ("added", "reasons", "own", "told"),
    [
        (True, ["stale: old"], [], ["- stale: old"]),
        (True, ["stale: old"], ["not traded"], ["- stale: old\n- AAA: not traded"]),
        (True, [], [], []),
        (False, ["stale: old"], [], []),
    ],
)
def test_an_abstention_is_told_when_it_is_written_down(hook, added, reasons, own, told):
    tickers = [{"ticker": "AAA", "abstain": own}]
    session = {"as_of": "2021-06-01", "abstain": reasons, "tickers": tickers}
    tell_abstention([Said(signal=session, lines=[], late=False, added=added)])
    assert [each["body"] for each in hook] == told
    assert {each["subject"] for each in hook} <= {"rnntrade: abstain after 2021-06-01"}
