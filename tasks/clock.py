"""What time it is, asked in one place."""

from datetime import UTC, datetime


def now() -> datetime:
    """The time, with its zone (UTC): sessions are told apart by their exchange's own clock."""
    return datetime.now(UTC)


def stamp() -> str:
    """The time as it is written down: 2026-11-24T21:15:00Z."""
    return f"{now():%Y-%m-%dT%H:%M:%SZ}"
