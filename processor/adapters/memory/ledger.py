"""What would be known of jobs, without a database?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.ledger import Answer, Ending, Flushed, Known, LedgerRow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId
    from processor.ports.ledger import Entry
    from processor.ports.ownership import Fence


class MemoryLedger:
    """`Ledger`; its steps are `ledger.look_up`, `.flush`, `.read_back`, `.fail` and `.row`.

    A flush makes two round trips when a race was lost: between them others go on.
    """

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def look_up(
        self, partitions: Collection[int], jobs: Collection[JobId], entities: Collection[int]
    ) -> Known:
        """See `Ledger`."""
        lost = await self.step("ledger.look_up")
        database, wanted = self._database, set(jobs)
        known = Known(
            ledger=[row for row in database.ledger.values() if row.job in wanted],
            waiting=[
                waiting.row
                for waiting in database.waiting.values()
                if waiting.row.job in wanted
                or (
                    waiting.row.holds
                    and waiting.row.entity_key in entities
                    and not database.is_over(waiting.row)
                )
            ],
            spilled=database.spilled(partitions, entities),
        )
        if lost is not None:
            raise lost
        return known

    async def flush(self, fences: Sequence[Fence], entries: Sequence[Entry]) -> Flushed:
        """See `Ledger`."""
        if not entries:
            return Flushed(winners=[], fenced=frozenset())
        lost = await self.step("ledger.flush")
        mine = {fence.partition for fence in fences if self._database.owns(fence)}
        written = [entry.partition in mine and self._write(entry) for entry in entries]
        if lost is not None:
            raise lost
        if not all(written[i] for i, entry in enumerate(entries) if entry.partition in mine):
            lost = await self.step("ledger.read_back")
            if lost is not None:
                raise lost
        return Flushed(
            winners=[
                entry
                if done
                else self._database.deciding(entry.job, entry.generation)
                if entry.partition in mine
                else None
                for entry, done in zip(entries, written, strict=True)
            ],
            fenced=frozenset(entry.partition for entry in entries) - mine,
        )

    async def fail(self, fence: Fence, entity_key: int, entry: Entry, revision: int = 0) -> Answer:
        """See `Ledger`."""
        lost = await self.step("ledger.fail")
        answer = self._database.record(fence, entity_key, entry, revision, died=True)
        if lost is not None:
            raise lost
        return answer

    async def row(self, job: JobId, generation: int) -> LedgerRow | None:
        """See `Ledger`."""
        lost = await self.step("ledger.row")
        row = self._database.deciding(job, generation)
        if lost is not None:
            raise lost
        return row

    def _write(self, entry: Entry) -> bool:
        if self._database.settled(entry.job, entry.generation):
            return False
        return self._database.insert(entry, Ending.COMPLETE)
