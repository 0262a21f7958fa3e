"""How would jobs wait and come back, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory import rows
from processor.adapters.memory.replaying import holds_itself, replay_in_place
from processor.adapters.memory.step import Step, onward
from processor.adapters.memory.sweeping import MemorySweeping, waiting_of
from processor.domain.priority import Priority
from processor.ports.ledger import Answer, Entry
from processor.ports.waiting_room import LONGEST, WaitingState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId
    from processor.ports.ownership import Fence
    from processor.ports.waiting_room import Wait, Waiting


class MemoryWaitingRoom(MemorySweeping):
    """`WaitingRoom` and `Sweeping`; its steps are `waiting_room.` and the method's name."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        super().__init__(database)
        self.step = step

    async def record(
        self,
        fence: Fence,
        wait: Wait,
        revision: int,
        *,
        died: bytes | None = None,
        lock: bool = True,
    ) -> Answer:
        """See `WaitingRoom`."""
        lost = await self.step("waiting_room.record")
        answer = self._record(fence, wait, revision, died=died, lock=lock)
        if lost is not None:
            raise lost
        return answer

    async def enqueue(
        self, fence: Fence, waits: Sequence[Wait], *, locked: Collection[int] = ()
    ) -> list[Answer]:
        """See `WaitingRoom`."""
        if not waits:
            return []
        lost = await self.step("waiting_room.enqueue")
        answers = [self._enqueue(fence, wait, locked) for wait in waits]
        if lost is not None:
            raise lost
        return answers

    async def due(
        self, partitions: Collection[int], besides: Collection[JobId], limit: int
    ) -> list[Waiting]:
        """See `WaitingRoom`."""
        lost = await self.step("waiting_room.due")
        now = self._database.clock.now()
        found = [
            (row.due_at, row)
            for row in self._rows(partitions)
            if row.due_at is not None and row.due_at <= now and row.row.job not in besides
        ]
        if lost is not None:
            raise lost
        return [waiting_of(row) for _, row in sorted(found, key=_time)[:limit]]

    async def queues(self, entities: Sequence[tuple[int, int]], limit: int) -> list[list[Waiting]]:
        """See `WaitingRoom`."""
        lost = await self.step("waiting_room.queues")
        found = [self._queue(*one)[:limit] for one in entities]
        if lost is not None:
            raise lost
        return found

    def _queue(self, partition: int, entity_key: int) -> list[Waiting]:
        rows = [
            row
            for row in self._rows([partition])
            if (row.row.entity_key, row.row.state) == (entity_key, WaitingState.QUEUED)
            and not self._database.is_over(row.row)
        ]
        return [waiting_of(row) for row in sorted(rows, key=_turn)]

    async def replay_in_place(
        self, fence: Fence, entity_key: int, job: JobId, generation: int, submission: bytes
    ) -> Answer:
        """See `WaitingRoom`."""
        lost = await self.step("waiting_room.replay_in_place")
        entry = Entry(job, generation, fence.partition, Priority.CRITICAL, 0, b"")
        answer = replay_in_place(self._database, fence, entity_key, entry)
        if answer is Answer.DONE:
            turned = self._database.waiting[job, generation]
            self._database.waiting[job, generation] = replace(
                turned,
                row=replace(turned.row, body=None),
                wait=replace(turned.wait, submission=submission, body=None),
            )
        if lost is not None:
            raise lost
        return answer

    async def row(self, job: JobId) -> Waiting | None:
        """See `Rows`."""
        lost = await self.step("waiting_room.row")
        found = [row for (of, _), row in self._database.waiting.items() if of == job]
        if lost is not None:
            raise lost
        return waiting_of(max(found, key=lambda one: one.row.generation)) if found else None

    def _record(
        self, fence: Fence, wait: Wait, revision: int, *, died: bytes | None, lock: bool
    ) -> Answer:
        database, key = self._database, (wait.job, wait.generation)
        before = database.waiting.get(key)
        ends = (wait.body or b"") if died is None else died
        entry = Entry(*key, fence.partition, wait.lane, wait.place, ends)
        row = rows.Wait(
            wait.state,
            wait.holds,
            wait.submission,
            wait.body,
            wait.attempt,
            wait.runs,
            wait.faults,
        )
        answer = database.record(
            fence,
            wait.entity_key,
            entry,
            revision,
            died=died is not None,
            wait=row,
            lock=lock,
        )
        if answer is Answer.DONE and (died is None or wait.state is WaitingState.BLOCKING):
            written = database.waiting[key]
            same = (
                before is not None
                and before.row.state == wait.state
                and (before.hold is None) == (wait.hold is None)
            )
            database.waiting[key] = replace(
                written,
                due_at=self._due_at(wait),
                hold=wait.hold,
                since=before.since if same and before is not None else written.since,
            )
        return answer

    def _enqueue(self, fence: Fence, wait: Wait, locked: Collection[int]) -> Answer:
        database = self._database
        own = wait.entity_key in locked
        waits_later = any(
            job == wait.job and generation > wait.generation for job, generation in database.waiting
        ) or holds_itself(database, wait.job, wait.generation)
        free = own or database.locks.get(wait.entity_key) is None
        settled = database.settled(wait.job, wait.generation)
        if waits_later and free and database.owns(fence) and not settled:
            return Answer.STALE
        older = {
            key: row
            for key, row in database.waiting.items()
            if key[0] == wait.job and key[1] < wait.generation
        }
        answer = self._record(fence, replace(wait, holds=False), 0, died=None, lock=not own)
        database.waiting |= older
        return answer

    def _due_at(self, wait: Wait) -> int | None:
        if wait.due_at is not None or wait.due_in is None:
            return wait.due_at
        return self._database.clock.now() + round(min(max(0.0, wait.due_in), LONGEST) * 1e6)


def _time(found: tuple[int, rows.Waiting]) -> int:
    return found[0]


def _turn(waiting: rows.Waiting) -> tuple[int, int]:
    return waiting.row.lane, waiting.row.place
