"""How is it said that jobs wait for handlers, when that may be a hundred thousand jobs?

A line for each type as its first job waits, and now and then one with their number. Anybody can
submit any type: those beyond the first thousand are told of together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.ports.clock import Clock

SAY_AGAIN: Final = 300.0
"""Seconds between two lines of one type, at least."""
TYPES_TOLD_APART: Final = 1_000
OTHER_TYPES: Final = "(others)"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Missing:
    said_at: float
    jobs: int = 0


class MissingHandlers:
    """What one worker has no handlers for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._types: dict[str, _Missing] = {}

    def waits(self, type_: str, job: JobId) -> None:
        """A job is put aside until there is a handler of its type."""
        if type_ not in self._types and len(self._types) >= TYPES_TOLD_APART:
            type_ = OTHER_TYPES
        now = self._clock.monotonic()
        missing = self._types.get(type_)
        if missing is None:
            self._types[type_] = _Missing(now, 1)
            log.error("a job waits for a handler of its type", type=type_, job=str(job))
            return
        missing.jobs += 1
        if now - missing.said_at >= SAY_AGAIN:
            missing.said_at = now
            log.error(
                "jobs wait for a handler of their type",
                type=type_,
                times_put_aside=missing.jobs,
                last=str(job),
            )
