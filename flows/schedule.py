"""The schedules of prefect.yaml, from the exchange's calendar: `python -m flows.schedule`."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rnntrade.config import DataConfig
from rnntrade.data.sessions import action_times, recurrence, timezone

FILE = Path(__file__).resolve().parents[1] / "prefect.yaml"
NAME = re.compile(r"close-plus-(\d+)")
WRITTEN = re.compile(
    rf"^( +)- slug: (?P<name>{NAME.pattern})\n"
    r"\1  timezone: .*\n"
    r"\1  rrule: \|-\n"
    r"(?:\1    .*\n)*",
    re.MULTILINE,
)


def after_close(name: str, calendar: str) -> dict[str, str]:
    """Time zone and rule of the schedule `close-plus-N`; nothing for one of another name."""
    found = NAME.fullmatch(name)
    if not found:
        return {}
    return {"timezone": timezone(calendar), "rrule": recurrence(calendar, int(found[1]))}


def next_time(name: str, calendar: str, now: datetime) -> datetime | None:
    """When the schedule `close-plus-N` acts next; None for another name, or after the last known.

    now    with a time zone
    """
    found = NAME.fullmatch(name)
    if not found:
        return None
    zone = ZoneInfo(timezone(calendar))
    times = (time.replace(tzinfo=zone) for time in action_times(calendar, int(found[1])))
    return next((time for time in times if time > now), None)


def rewritten(text: str, calendar: str) -> str:
    """The text of prefect.yaml with the schedules of that exchange, all else as it was."""

    def write(block: re.Match[str]) -> str:
        indent, name = block[1], block["name"]
        made = after_close(name, calendar)
        rule = "".join(f"{indent}    {line}\n" for line in made["rrule"].splitlines())
        head = f"{indent}- slug: {name}\n{indent}  timezone: {made['timezone']}\n"
        return f"{head}{indent}  rrule: |-\n{rule}"

    return WRITTEN.sub(write, text)


if __name__ == "__main__":
    FILE.write_text(
        rewritten(FILE.read_text(encoding="utf-8"), DataConfig().calendar), encoding="utf-8"
    )
