"""How is what a hold kept let out at a rate?

Each worker lets out its share, by the partitions that it owns, with each reading of the holds. The
hold stays open meanwhile, so that what comes anew waits in its turn; the last one ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.ports.holds import HoldMode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from processor.ports.clock import Clock
    from processor.ports.holds import Hold, Holds
    from processor.ports.waiting_room import Sweeping

LONGEST: Final = 2.0
"""Seconds that one reading makes up for, at most: a pause is not followed by a flood."""


class LettingOut:
    """Wakes rows of holds that are released at a rate."""

    def __init__(self, holds: Holds, sweeping: Sweeping, clock: Clock) -> None:
        self._holds = holds
        self._sweeping = sweeping
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._due: dict[int, float] = {}
        """Jobs that each hold may let out, with the fraction that is left over."""

    async def some(self, holds: Iterable[Hold], owned: Collection[int], share: float) -> None:
        """Let out as many as are due since the last look."""
        now = self._clock.monotonic()
        seconds, self._looked_at = min(now - self._looked_at, LONGEST), now
        releasing = [one for one in holds if one.mode is HoldMode.RELEASING]
        self._due = {one.id: self._due.get(one.id, 0.0) for one in releasing}
        for hold in releasing:
            due = self._due[hold.id] + (hold.rate or 1) * share * seconds
            self._due[hold.id] = due - int(due)
            if int(due) == 0:
                continue
            woken = await self._sweeping.wake_hold(hold.id, owned, int(due))
            if woken < int(due):
                await self._holds.finish(hold.id)


def is_let_out(hold: Hold, revision: int) -> bool:
    """Whether a job may pass a hold: its row was woken, or waited for something else."""
    return hold.mode is HoldMode.RELEASING and revision > 0
