"""Which row does a replay take the place of, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory.database import BLOCKING, RETRYING
from processor.adapters.memory.rows import Wait, Waiting
from processor.ports.ledger import Answer

if TYPE_CHECKING:
    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId
    from processor.ports.ledger import Entry
    from processor.ports.ownership import Fence


def replay_in_place(
    database: MemoryDatabase, fence: Fence, entity_key: int, entry: Entry
) -> Answer:
    """Turn the row of a head, a blocking one, into the retrying row of its next generation."""
    if not database.owns(fence):
        return Answer.FENCED
    if database.locks.get(entity_key) is not None:
        return Answer.BUSY
    if database.settled(entry.job, entry.generation):
        return Answer.SETTLED
    blocking = database.waiting.get((entry.job, entry.generation - 1))
    if blocking is None or not blocking.row.holds:
        blocking = holds_itself(database, entry.job, entry.generation)
    if blocking is None:
        return Answer.STALE
    del database.waiting[entry.job, blocking.row.generation]
    row = replace(
        blocking.row,
        generation=entry.generation,
        revision=blocking.row.revision + 1,
        state=RETRYING,
    )
    wait = Wait(RETRYING, row.holds, blocking.wait.submission, entry.body)
    now = database.clock.now()
    database.waiting[entry.job, entry.generation] = Waiting(
        row, fence.partition, fence.token, wait, due_at=now, since=now
    )
    return Answer.DONE


def holds_itself(database: MemoryDatabase, job: JobId, generation: int) -> Waiting | None:
    """The row of an earlier generation that holds the entity, and has not ended."""
    for earlier in range(generation - 1, 0, -1):
        found = database.waiting.get((job, earlier))
        if found is None or not found.row.holds:
            continue
        if not database.settled(job, earlier + (found.row.state == BLOCKING)):
            return found
    return None
