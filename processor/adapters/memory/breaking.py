"""How would the breaker of a type hold, probe and release it, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.domain.breaker import NAME, BreakerChanged, BreakerState
from processor.ports.holds import Hold, HoldKind, HoldMode

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from processor.adapters.memory.database import MemoryDatabase

SECOND = 1_000_000


class MemoryBreaking:
    """`Breaking` and `BreakerNews`; its steps are `holds.trip`, `.probe`, `.pass_on` and so on."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def trip(self, type_: str, release: str, because: str, wait: float) -> Hold:
        """See `Breaking`."""
        lost = await self.step("holds.trip")
        now = self._database.clock.now()
        name = (HoldKind.TYPE, type_, release)
        found = [one for one in self._open() if (one.kind, one.value, one.release) == name]
        hold = found[0] if found else self._new(type_, release, because)
        if hold.mode is not HoldMode.PROBING:
            hold = replace(hold, mode=HoldMode.PROBING, why=because, probe_at=None)
        if hold.probe_at is None:
            hold = replace(hold, probe_at=now + round(wait * SECOND))
        self._database.holds[hold.id] = hold
        if lost is not None:
            raise lost
        return hold

    async def probe(self, hold: int, worker: UUID, lease: float) -> bool:
        """See `Breaking`."""
        lost = await self.step("holds.probe")
        now, found = self._database.clock.now(), self._breakers(hold)
        taken = found is not None and (found.probe_by == worker or _is_due(found, now))
        if taken and found is not None:
            until = now + round(lease * SECOND)
            self._database.holds[hold] = replace(found, probe_by=worker, probe_at=until)
        if lost is not None:
            raise lost
        return taken

    async def pass_on(self, hold: int, worker: UUID, wait: float | None) -> bool:
        """See `Breaking`."""
        lost = await self.step("holds.pass_on")
        found = self._breakers(hold)
        if found is None or found.probe_by != worker:
            mine = False
        elif wait is None:
            mine = True
            self._end(found, NAME, "a probe succeeded")
        else:
            mine = True
            self._database.holds[hold] = replace(
                found,
                probe_by=None,
                probe_at=self._database.clock.now() + round(wait * SECOND),
                failed_probes=found.failed_probes + 1,
            )
        if lost is not None:
            raise lost
        return mine

    async def forsake(self) -> int:
        """See `Breaking`."""
        lost = await self.step("holds.forsake")
        alive = set(self._database.releases.values())
        left = [one for one in self._open() if one.is_breakers and one.release not in alive]
        for hold in left:
            self._end(hold, NAME, "no worker of its release is left")
        if lost is not None:
            raise lost
        return len(left)

    async def untold(self, limit: int) -> list[BreakerChanged]:
        """See `BreakerNews`."""
        lost = await self.step("holds.untold")
        news = list(self._database.news.values())[:limit]
        if lost is not None:
            raise lost
        return news

    async def told(self, news: Collection[BreakerChanged]) -> None:
        """See `BreakerNews`."""
        lost = await self.step("holds.told")
        for one in news:
            self._database.news.pop(one.event_id, None)
        if lost is not None:
            raise lost

    def _open(self) -> list[Hold]:
        now = self._database.clock.now()
        return [
            replace(hold, probe_due=_is_due(hold, now))
            for hold in self._database.holds.values()
            if self._database.is_open(hold.id)
        ]

    def _breakers(self, number: int) -> Hold | None:
        return next((one for one in self._open() if one.id == number and one.is_breakers), None)

    def _new(self, type_: str, release: str, because: str) -> Hold:
        number = self._database.last_hold = self._database.last_hold + 1
        now = self._database.clock.now()
        hold = Hold(
            number, HoldKind.TYPE, type_, release, because, NAME, now, mode=HoldMode.PROBING
        )
        self._tell(hold, BreakerState.OPEN, NAME, because)
        return hold

    def _end(self, hold: Hold, by: str, because: str) -> None:
        del self._database.holds[hold.id]
        if hold.release is not None:
            self._tell(hold, BreakerState.CLOSED, by, because)

    def _tell(self, hold: Hold, state: BreakerState, by: str, because: str) -> None:
        now, release = self._database.clock.now(), hold.release or ""
        change = BreakerChanged(state, hold.value, release, hold.id, because, by, now, hold.since)
        self._database.news[change.event_id] = change


def _is_due(hold: Hold, now: int) -> bool:
    return hold.probe_at is not None and hold.probe_at <= now
