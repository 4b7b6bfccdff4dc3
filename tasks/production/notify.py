"""Telling people: RNNTRADE_NOTIFY names whom, separated by commas.

    custom-webhook/ops            a notification block of Prefect's, by type and name
    https://example.com/hook      gets a POST of {"subject": …, "body": …} as JSON
    mailto://user:word@host       an e-mail; any address that Apprise knows will do

A message that cannot be delivered is logged, without the address, which may hold a password; it
never fails what it is about.
"""

import logging
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from rnntrade.errors import ConfigError

if TYPE_CHECKING:
    from tasks.production.retraining import Judged
    from tasks.production.signals import Said

log = logging.getLogger("prefect.rnntrade")

VARIABLE = "RNNTRADE_NOTIFY"
PATIENCE = 10  # seconds
ADDRESS = re.compile(r"[\w+-]+://[^\s'\"]+")
SEPARATOR = re.compile(r"\s*,\s*(?=[\w-]+(?:/|s?://))")  # an address may hold commas of its own


def notify(subject: str, body: str) -> list[str]:
    """Tell everybody in RNNTRADE_NOTIFY; return who could be reached, without passwords."""
    reached = []
    for receiver in receivers():
        try:
            _send(receiver, subject, body)
        except Exception as error:  # a block is anybody's code: what it raises has no name
            log.warning("%s was not told %r: %s", shown(receiver), subject, _cause(error))
            continue
        reached.append(shown(receiver))
    return reached


def receivers() -> list[str]:
    """Whom RNNTRADE_NOTIFY names."""
    parts = SEPARATOR.split(os.environ.get(VARIABLE, "").strip())
    return [part.strip(" ,") for part in parts if part.strip(" ,")]


def shown(receiver: str) -> str:
    """The receiver as it may stand in a log: of an address only scheme and host."""
    if "://" not in receiver:
        return receiver
    parts = urlsplit(receiver)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Tell that a flow has failed or crashed: for its on_failure and on_crashed."""
    subject = f"rnntrade: {flow.name} has {str(state.name).lower()}"
    notify(subject, f"{state.message or 'No reason was given.'}\n\nFlow run: {flow_run.name}")


def tell_promotions(judged: "Sequence[Judged]") -> None:
    """Tell which versions have become champions."""
    for new in judged:
        if new.promoted:
            before = "It is the first."
            if new.champion:
                before = f"It takes the place of {new.champion}."
            reasons = "\n".join(f"- {reason}" for reason in new.reasons)
            subject = f"rnntrade: {new.challenger} is the champion for {new.task}"
            notify(subject, f"{before}\n\n{reasons}")


def tell_abstention(said: "Sequence[Said]") -> None:
    """Tell why a decision that was written down just now is not to be followed."""
    for decision in said:
        signal = decision.signal
        reasons = [f"- {reason}" for reason in signal["abstain"]]
        for ticker in signal["tickers"]:
            reasons += [f"- {ticker['ticker']}: {reason}" for reason in ticker["abstain"]]
        if decision.added and reasons:
            notify(f"rnntrade: abstain after {signal['as_of']}", "\n".join(reasons))


def _send(receiver: str, subject: str, body: str) -> None:
    scheme, separator, _ = receiver.partition("://")
    if scheme in ("http", "https"):
        message = {"subject": subject, "body": body}
        httpx.post(receiver, json=message, timeout=PATIENCE).raise_for_status()
    elif separator:
        from apprise import Apprise

        logging.getLogger("apprise").addFilter(_names_no_address)  # it writes passwords down
        sender = Apprise()
        if not sender.add(receiver):
            raise ConfigError("Apprise does not know such an address")
        if not sender.notify(body=body, title=subject):
            raise ConfigError(
                "the message was not taken; is the address right, and its host there?"
            )
    else:
        import prefect.blocks.notifications  # makes Prefect's own known by their types  # noqa: F401
        from prefect.blocks.abstract import NotificationBlock
        from prefect.blocks.core import Block

        blocks: Any = Block  # whose `_sync`, needed in a hook, its types leave out
        block = blocks.load(receiver, _sync=True)
        notifies = isinstance(block, NotificationBlock)
        if not notifies:
            raise ConfigError("it is no notification block")
        with block.raise_on_failure():
            block.notify(body, subject, _sync=True)


def _cause(error: Exception) -> str:
    """The error in a line, with as little of any address as `shown` leaves."""
    text = ADDRESS.sub(lambda match: shown(match[0]), str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"


def _names_no_address(record: logging.LogRecord) -> bool:
    return "://" not in record.getMessage()
