"""What would nobody's turn bring back, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from processor.adapters.memory.step import Step, onward
from processor.ports.waiting_room import Wait, Waiting, WaitingState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from processor.adapters.memory import rows
    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId

Key = TypeVar("Key", tuple[int, int], "tuple[JobId, int]")


class MemorySweeping:
    """`Sweeping`; looks at everything in each call, and yet starts where the last one ended."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step
        self._entity: tuple[int, int] | None = None
        self._row: tuple[JobId, int] | None = None

    async def stranded(self, partitions: Collection[int], limit: int) -> list[tuple[int, int]]:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.stranded")
        queued = {
            (row.partition, row.row.entity_key)
            for row in self._rows(partitions)
            if row.row.state == WaitingState.QUEUED
        }
        found = _after(self._entity, (one for one in queued if not self._is_held(one[1])), limit)
        self._entity = found[-1] if found and len(found) == limit else None
        if lost is not None:
            raise lost
        return found

    async def settled(self, partitions: Collection[int], limit: int) -> list[Waiting]:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.settled")
        over = {
            (row.row.job, row.row.generation): row
            for row in self._rows(partitions)
            if self._database.is_over(row.row)
        }
        found = _after(self._row, over, limit)
        self._row = found[-1] if found and len(found) == limit else None
        if lost is not None:
            raise lost
        return [waiting_of(over[key]) for key in found]

    async def orphans(
        self, partitions: Collection[int], limit: int, besides: Collection[int] = ()
    ) -> list[Waiting]:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.orphans")
        found = [
            waiting_of(row)
            for row in self._rows(partitions)
            if row.hold not in (None, *besides) and not self._database.is_open(row.hold)
        ]
        if lost is not None:
            raise lost
        return found[:limit]

    async def remove(self, rows: Collection[tuple[JobId, int]]) -> None:
        """See `Sweeping`."""
        if not rows:
            return
        lost = await self.step("waiting_room.remove")
        for key in rows:
            row = self._database.waiting.get(key)
            if row is None:
                continue
            if self._database.is_over(row.row) or self._database.is_superseded(row.row):
                del self._database.waiting[key]
            elif row.row.state == WaitingState.BLOCKING:
                self._put(replace(row, due_at=None))
        if lost is not None:
            raise lost

    async def wake(
        self,
        partition: int,
        states: Collection[WaitingState],
        *,
        but_of_holds: Collection[int] = (),
    ) -> None:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.wake")
        now = self._database.clock.now()
        for row in list(self._rows([partition])):
            later = row.due_at is None or row.due_at > now
            if row.row.state in states and later and row.hold not in but_of_holds:
                self._put(replace(row, due_at=now))
        if lost is not None:
            raise lost

    async def wake_hold(self, hold: int, partitions: Collection[int], limit: int) -> int:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.wake_hold")
        now = self._database.clock.now()
        held = [row for row in self._rows(partitions) if row.hold == hold][:limit]
        for row in held:
            self._put(replace(row, due_at=now, since=now, hold=None))
        if lost is not None:
            raise lost
        return len(held)

    async def wake_probe(self, hold: int, partitions: Collection[int]) -> bool:
        """See `Sweeping`."""
        lost = await self.step("waiting_room.wake_probe")
        now = self._database.clock.now()
        asleep = [
            row
            for row in self._rows(partitions)
            if row.hold == hold and (row.due_at is None or row.due_at > now)
        ]
        if asleep:
            chosen = min(asleep, key=lambda row: (row.wait.attempt, row.since, row.row.job))
            self._put(replace(chosen, due_at=now))
        if lost is not None:
            raise lost
        return bool(asleep)

    def _rows(self, partitions: Collection[int]) -> Iterator[rows.Waiting]:
        return (row for row in self._database.waiting.values() if row.partition in partitions)

    def _is_held(self, entity_key: int) -> bool:
        return any(not self._database.is_over(row) for row in self._database.heads(entity_key))

    def _put(self, row: rows.Waiting) -> None:
        self._database.waiting[row.row.job, row.row.generation] = row


def waiting_of(row: rows.Waiting) -> Waiting:
    """A row as the port tells it."""
    stands, written = row.row, row.wait
    wait = Wait(
        job=stands.job,
        generation=stands.generation,
        entity_key=stands.entity_key,
        state=WaitingState(stands.state),
        lane=stands.lane,
        place=stands.place,
        submission=written.submission,
        holds=stands.holds,
        due_at=row.due_at,
        hold=row.hold,
        attempt=written.attempt,
        runs=written.runs,
        faults=written.faults,
        body=written.body,
    )
    return Waiting(wait, row.partition, stands.revision, row.since)


def _after(last: Key | None, keys: Iterable[Key], limit: int) -> list[Key]:
    return sorted(key for key in keys if last is None or key > last)[:limit]
