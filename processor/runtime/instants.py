"""How is a time told to a person?"""

from __future__ import annotations

from typing import Final

from processor.domain.instants import date_of

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def clock(at: int) -> str:
    """A time in microseconds since the epoch, to the second, UTC."""
    return date_of(at).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(microseconds: int) -> str:
    """A length of time in its largest unit."""
    seconds = max(0, microseconds) / 1_000_000
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"
