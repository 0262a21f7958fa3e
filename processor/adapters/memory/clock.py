"""What time is it where a test decides that?"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

START = 1_800_000_000_000_000
"""Microseconds since the epoch at which a clock starts unless told otherwise."""


class ManualClock:
    """Implements `processor.ports.clock.Clock`; stands still until it is moved."""

    def __init__(self, now: int = START) -> None:
        self._now = now
        self._passed = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> int:
        """See `processor.ports.clock.Clock`."""
        return self._now + self._passed

    def monotonic(self) -> float:
        """See `processor.ports.clock.Clock`; zero at first."""
        return self._passed / 1e6

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved that far; a sleep of nothing yields once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # At least a microsecond, or who sleeps for less would never see time pass.
        due = self._passed + max(1, round(seconds * 1e6))
        heapq.heappush(self._sleepers, (due, next(self._order), awake))
        await awake

    def advance(self, seconds: float) -> None:
        """Let time pass; sleepers are woken in the order of their times, all at the end of it."""
        self._passed += round(seconds * 1e6)
        while self._sleepers and self._sleepers[0][0] <= self._passed:
            awake = heapq.heappop(self._sleepers)[2]
            if not awake.done():
                awake.set_result(None)

    def next_due(self) -> float | None:
        """Seconds until the next sleeper wants to be woken; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return (self._sleepers[0][0] - self._passed) / 1e6 if self._sleepers else None

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator would; no time passes."""
        self._now += round(seconds * 1e6)
