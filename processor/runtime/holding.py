"""What is kept from running now?

Holds are rows that all workers see; each re-reads them every second. A job that meets one is parked
once and skipped by index while the hold is open; a held lane is neither read nor served. When a
hold is gone its rows become due; a sweep finds those that were parked while it was released (H45).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from processor.ports.holds import HoldKind, names_of
from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord
    from processor.ports.clock import Clock
    from processor.ports.holds import Hold, Holds
    from processor.ports.waiting_room import Sweeping

READ_EVERY = 1.0
SWEEP_EVERY = 30.0
AT_ONCE = 200

log = structlog.get_logger(__name__)


class Holding:
    """The open holds as this worker last read them."""

    def __init__(
        self,
        holds: Holds,
        sweeping: Sweeping,
        clock: Clock,
        release: str,
        owned: Callable[[], Collection[int]],
        changed: Callable[[], None],
    ) -> None:
        self._holds = holds
        self._sweeping = sweeping
        self._clock = clock
        self._release = release
        self._owned = owned
        self._changed = changed
        self._open: dict[int, Hold] = {}
        self._by_value: dict[tuple[HoldKind, str], Hold] = {}
        self._swept_at = clock.monotonic()
        self.known = False
        """The holds were read at least once: nothing may start before."""

    def match(self, record: SubmissionRecord, lane: Priority) -> Hold | None:
        """The hold that keeps a job from running."""
        by_value = self._by_value
        if not by_value:
            return None
        names = names_of(record.type, record.entity, record.tenant, lane)
        return next((by_value[name] for name in names if name in by_value), None)

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
        """Read what is open; the rows of a hold that is gone become due."""
        mine = {
            hold.id: hold
            for hold in await self._holds.open()
            if hold.release is None or hold.release == self._release
        }
        gone = self._open.keys() - mine.keys()
        if mine != self._open:
            self._tell(mine)
        if mine != self._open or not self.known:
            self.known = True
            self._open = mine
            self._by_value = {(hold.kind, hold.value): hold for hold in mine.values()}
            self._changed()
        for hold in gone:
            await self._sweeping.wake_hold(hold, self._owned())

    async def _sweep(self) -> None:
        partitions = self._owned()
        rows = await self._sweeping.orphans(partitions, AT_ONCE) if partitions else []
        for hold in {row.wait.hold for row in rows if row.wait.hold is not None}:
            await self._sweeping.wake_hold(hold, partitions)

    def _tell(self, mine: dict[int, Hold]) -> None:
        log.info("holds have changed", open=_named(mine.values()))


def _named(holds: Iterable[Hold]) -> list[str]:
    return [f"{hold.kind} {hold.value}: {hold.why}" for hold in holds]
