"""When is a handler's time over, and what if it goes on all the same?

It is cancelled once. If it has not ended a while later it has swallowed that, and whoever waits for
it is told: nothing can end it but itself. Time in which the whole loop stood still, since another
handler blocked it or the process was frozen, is no handler's: it is granted again.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Patience(NamedTuple):
    """What a time-out goes by besides its seconds."""

    stood_still: Callable[[], float] = lambda: 0.0
    """Seconds that the loop has stood still so far."""
    grace: float = math.inf
    """Seconds that a handler may take to end once it was cancelled."""


class TimeOut:
    """`with` around a handler, in the task that runs it."""

    __slots__ = (
        "_grace",
        "_handle",
        "_loop",
        "_overdue",
        "_stood_still",
        "_task",
        "_told",
        "_when",
        "expired",
    )

    def __init__(self, seconds: float, patience: Patience, overdue: Callable[[], None]) -> None:
        """`overdue` is called once where the handler goes on although it was cancelled."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - handlers are called in tasks
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._grace = patience.grace
        self._overdue = overdue
        self._stood_still = patience.stood_still
        self._told = patience.stood_still()
        self._when = self._loop.time() + seconds
        self._handle: asyncio.TimerHandle = self._loop.call_at(self._when, self._due)
        self.expired = False
        """The time was over before the handler had ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handle.cancel()
        if self.expired:
            self._task.uncancel()

    def _due(self) -> None:
        stood_still = self._stood_still()
        granted, self._told = stood_still - self._told, stood_still
        if granted > 0:
            self._when += granted
            self._handle = self._loop.call_at(self._when, self._due)
            return
        self.end()

    def end(self) -> None:
        """Let the time be over now; once."""
        self._handle.cancel()
        self.expired = True
        self._task.cancel()
        if self._grace < math.inf:
            self._handle = self._loop.call_later(self._grace, self._overdue)
