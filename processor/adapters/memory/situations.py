"""What would stand about one job, without a database?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.memory.step import Step, onward
from processor.adapters.memory.sweeping import waiting_of
from processor.ports.situations import LATELY, LiveWorker, Recorded, Seat, Situation

if TYPE_CHECKING:
    from uuid import UUID

    from processor.adapters.memory import rows
    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId

_MICROSECONDS: Final = 1_000_000


class MemorySituations:
    """`Situations`; its steps are `situations.seat`, `.recorded` and `.of`.

    Nobody holds a lock for long.
    """

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def seat(self, job: JobId) -> Seat | None:
        """See `Situations`."""
        lost = await self.step("situations.seat")
        row = self._row(job)
        if lost is not None:
            raise lost
        if row is None:
            return None
        return Seat(row.partition, row.row.lane, row.row.entity_key, row.row.place)

    async def recorded(self, job: JobId) -> Recorded | None:
        """See `Situations`."""
        lost = await self.step("situations.recorded")
        row = self._row(job)
        end = max(self._database.of_job(job), key=lambda one: one.generation, default=None)
        if lost is not None:
            raise lost
        if row is not None:
            seat = Seat(row.partition, row.row.lane, row.row.entity_key, row.row.place)
            return Recorded(seat, row.wait.submission, None)
        if end is None:
            return None
        return Recorded(Seat(end.partition, end.lane, 0, end.offset), None, end.body)

    async def of(self, job: JobId, seat: Seat) -> Situation:
        """See `Situations`."""
        lost = await self.step("situations.of")
        database, row = self._database, self._row(job)
        endings = list(database.of_job(job))
        newest = max(endings, key=lambda one: one.generation, default=None)
        others = [
            one
            for one in database.waiting.values()
            if one.row.entity_key == seat.entity_key
            and one.row.job != job
            and not database.is_over(one.row)
        ]
        head = next((one for one in others if one.row.holds), None)
        found = Situation(
            now=database.clock.now(),
            row=None if row is None else waiting_of(row),
            ending=None if newest is None else (newest.generation, newest.ending),
            head=None if head is None else waiting_of(head),
            before=sum(
                one.row.state == "q" and (one.row.lane, one.row.place) < (seat.lane, seat.place)
                for one in others
            ),
            owner=database.owners.get(seat.partition),
            workers=live_workers(database),
            holds=tuple(one for one in database.holds.values() if database.is_open(one.id)),
            lock=None,
            ended_lately=ended_lately(database, seat.partition, seat.lane),
        )
        if lost is not None:
            raise lost
        return found

    def _row(self, job: JobId) -> rows.Waiting | None:
        found = [row for (of, _), row in self._database.waiting.items() if of == job]
        return max(found, key=lambda one: one.row.generation, default=None)


def live_workers(database: MemoryDatabase) -> tuple[LiveWorker, ...]:
    """Every worker that has joined; each has just beaten."""
    return tuple(_live(database, worker) for worker in database.workers)


def ended_lately(database: MemoryDatabase, partition: int | None, lane: int) -> int:
    """How many jobs of a lane ended within the last seconds, in one partition or all."""
    since = database.clock.now() - int(LATELY * _MICROSECONDS)
    return sum(
        database.ended_at.get(key, 0) > since
        and row.lane == lane
        and partition in {None, row.partition}
        for key, row in database.ledger.items()
    )


def _live(database: MemoryDatabase, worker: UUID) -> LiveWorker:
    types = database.handlers.get(worker, frozenset())
    leaving = database.workers[worker].leaving
    return LiveWorker(worker, database.releases.get(worker, ""), types, leaving, 0.0)
