"""How does a time in microseconds since 1970 become a date, and back?

Times are such numbers everywhere but where people, producers and drivers bring or want dates.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def date_of(at: int) -> datetime:
    """The date, in UTC; raises `OverflowError` for one beyond the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=at)


def microseconds(when: datetime) -> int:
    """Since 1970, of a date with its zone."""
    return (when - EPOCH) // MICROSECOND
