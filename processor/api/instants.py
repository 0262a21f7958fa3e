"""How are times told and read over HTTP?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from processor.domain.instants import date_of, microseconds
from processor.domain.limits import LAST_MOMENT


def known_iso(at: int) -> str:
    """A time in ISO 8601, UTC; one that no calendar has as microseconds since 1970."""
    try:
        return date_of(at).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{at} µs after 1970"


def iso(at: int | None) -> str | None:
    """The same, where there is one."""
    return None if at is None else known_iso(at)


def _moment(when: datetime) -> datetime:
    if not 0 <= microseconds(when) <= LAST_MOMENT:
        raise ValueError("it is no time from 1970 to 9999, in UTC")
    return when


Instant = Annotated[AwareDatetime, AfterValidator(_moment)]
"""A time with its zone that we can store."""
