"""Which types of jobs may share a transaction now, and how boldly?

A type starts with savepoints. While hardly any of its jobs fails it goes without: a failure then
costs the whole group another run. Where its jobs stood in somebody's way it runs alone for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.ports.clock import Clock

BOLD_BELOW: Final = 0.01
"""The share of failures below which a type goes without savepoints."""
_WEIGHT: Final = 1 / 500
_AT_FIRST: Final = 0.02
ALONE_FOR: Final = 5.0
"""Seconds that a type runs alone after a conflict, or after a job that took too long."""


class Sharing:
    """Remembers of every type how its jobs fared in groups."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: dict[str, float] = {}
        self._alone_until: dict[str, float] = {}

    def may(self, type_: str) -> bool:
        """Whether jobs of a type may share a transaction now."""
        until = self._alone_until.get(type_)
        if until is None:
            return True
        if self._clock.monotonic() < until:
            return False
        del self._alone_until[type_]
        return True

    def is_bold(self, types: Iterable[str]) -> bool:
        """Whether a group of these types goes without savepoints."""
        return all(self._failing.get(type_, _AT_FIRST) < BOLD_BELOW for type_ in types)

    def ran(self, type_: str, *, failed: bool) -> None:
        """A job of the type had its turn in a group."""
        failing = self._failing.get(type_, _AT_FIRST)
        self._failing[type_] = failing + (failed - failing) * _WEIGHT

    def part(self, type_: str) -> None:
        """Jobs of the type stood in somebody's way: let them run alone for a while."""
        self._alone_until[type_] = self._clock.monotonic() + ALONE_FOR
