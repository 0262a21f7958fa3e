"""What is kept from running now?

Holds are rows that all workers see; each re-reads them every second. A job that meets one is parked
once and skipped by index while the hold is open; a held lane is neither read nor served. When a
hold is gone its rows become due, so many a second: whatever they wait for shall not be met by all
of them at once. A sweep finds those that were parked while it was released (H45).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from processor.ports.holds import HoldKind, by_name, names_of
from processor.ports.ledger import Fault
from processor.runtime.letting_out import LettingOut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord
    from processor.ports.holds import Hold
    from processor.runtime.world import Manner, World

READ_EVERY = 1.0
SWEEP_EVERY = 30.0
AT_ONCE = 200
WOKEN_AT_ONCE = 1_000
"""Rows of one hold that a worker makes due with each read."""

log = structlog.get_logger(__name__)


class Holding:
    """The open holds as this worker last read them."""

    def __init__(
        self,
        world: World,
        manner: Manner,
        owned: Callable[[], Collection[int]],
        changed: Callable[[], None],
    ) -> None:
        self._holds = world.holds
        self._sweeping = world.room
        self._clock = clock = world.clock
        self._release = manner.release
        self._owned = owned
        self._changed = changed
        self._open: dict[int, Hold] = {}
        self._by_value: dict[tuple[HoldKind, str], Hold] = {}
        self._gone: dict[int, Hold | None] = {}
        """Holds whose rows are being woken; None where only their number is known."""
        self._partitions = manner.partitions
        self._let_out = LettingOut(world.holds, world.room, clock)
        self._reading = asyncio.Lock()
        self._swept_at = clock.monotonic()
        self.known = False
        """The holds were read at least once: nothing may start before."""

    def match(self, record: SubmissionRecord, lane: Priority) -> Hold | None:
        """The hold that keeps a job from running; one that is let out keeps what comes anew."""
        by_value = self._by_value
        if not by_value:
            return None
        names = names_of(record.type, record.entity, record.tenant, lane)
        return next((by_value[name] for name in names if name in by_value), None)

    def open(self) -> Collection[Hold]:
        """Those that keep jobs from running here."""
        return self._open.values()

    def kept(self) -> Collection[int] | None:
        """The ids of the holds that keep jobs from running here; None before they were read."""
        return self._open.keys() if self.known else None

    def is_lane_held(self, lane: Priority) -> bool:
        """Whether a lane is neither read nor served."""
        return bool(self._by_value) and (HoldKind.LANE, lane.label) in self._by_value

    async def run(self) -> None:
        """Follow the holds until cancelled."""
        while True:
            try:
                await self.read()
                if self._clock.monotonic() - self._swept_at >= SWEEP_EVERY:
                    self._swept_at = self._clock.monotonic()
                    await self._sweep()
            except Fault as fault:
                log.warning("holds are not read", because=str(fault))
            await self._clock.sleep(READ_EVERY)

    async def read(self) -> None:
        """Read what is open; rows of a hold that is gone become due."""
        async with self._reading:
            found = await self._holds.open()
            mine = {one.id: one for one in found if one.release in (None, self._release)}
            self._gone |= {one.id: one for one in self._open.values() if one.id not in mine}
            self._know(mine)
            await self._wake()
            owned = self._owned()
            await self._let_out.some(mine.values(), owned, len(owned) / self._partitions)

    async def keep(self, hold: Hold) -> None:
        """Know of a hold that this worker has made, before it is read."""
        async with self._reading:
            self._know({**self._open, hold.id: hold})

    def _know(self, mine: dict[int, Hold]) -> None:
        changed = mine.keys() != self._open.keys() or not self.known
        if mine.keys() != self._open.keys():
            self._tell(mine)
        self._open = mine  # a probe that is due, or not any more, changes nothing for the others
        self._by_value = by_name(mine.values())
        if changed:
            self.known = True
            self._changed()

    async def _wake(self) -> None:
        """Make rows due whose hold is gone, but those that would meet an operator's at once.

        A breaker's takes them over: it probes only what it keeps itself.
        """
        for number, hold in list(self._gone.items()):
            stands = None if hold is None else self._by_value.get((hold.kind, hold.value))
            if stands is not None and not stands.is_breakers:
                continue
            woken = await self._sweeping.wake_hold(number, self._owned(), WOKEN_AT_ONCE)
            if woken < WOKEN_AT_ONCE:
                del self._gone[number]

    async def _sweep(self) -> None:
        partitions = self._owned()
        if partitions:
            rows = await self._sweeping.orphans(partitions, AT_ONCE, self._gone)
            self._gone |= {row.wait.hold: None for row in rows if row.wait.hold is not None}

    def _tell(self, mine: dict[int, Hold]) -> None:
        log.info("holds have changed", open=_named(mine.values()))


def _named(holds: Iterable[Hold]) -> list[str]:
    return [f"{hold.kind} {hold.value}: {hold.why}" for hold in holds]
