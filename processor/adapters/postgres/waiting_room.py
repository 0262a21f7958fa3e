"""How do jobs wait in `jobs.waiting`, and how do they come back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.sweeping import PostgresSweeping
from processor.adapters.postgres.waiting_rows import COLUMNS, SETTLED, delay, instant, waiting_of
from processor.domain.priority import Priority
from processor.ports.ledger import Answer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from processor.domain.ids import JobId
    from processor.ports.ownership import Fence
    from processor.ports.waiting_room import Wait, Waiting

_RECORD: Final = """
SELECT jobs.record_v1(
    _token => $1, _partition => $2, _entity_key => $3, _job => $4, _generation => $5,
    _revision => $6, _lane => $7, _place => $8, _died => $9, _take_lock => $10, _state => $11,
    _holds => $12, _serve => $7, _due_in => $13, _due_at => $14, _hold => $15, _attempt => $16,
    _runs => $17, _faults => $18, _submission => $19, _body => $20
)
"""
_ENQUEUE: Final = """
SELECT jobs.enqueue_v1(
    $1, $2, $3::bigint[], $4::bigint[], $5::uuid[], $6::smallint[], $7::text[], $8::smallint[],
    $9::bigint[], $10::interval[], $11::timestamptz[], $12::bigint[], $13::integer[],
    $14::integer[], $15::integer[], $16::bytea[], $17::bytea[]
)
"""
_DUE: Final = f"""
SELECT {COLUMNS} FROM (
    SELECT found.* FROM unnest($1::smallint[]) p CROSS JOIN LATERAL (
        SELECT i.job, i.generation, i.due_at FROM jobs.waiting i
        WHERE i.partition = p AND i.due_at <= statement_timestamp() AND i.job <> ALL ($2::uuid[])
        ORDER BY i.due_at LIMIT $3
    ) found ORDER BY found.due_at LIMIT $3
) oldest JOIN jobs.waiting w USING (job, generation)
ORDER BY w.due_at
"""  # noqa: S608 - names of columns
_QUEUES: Final = f"""
SELECT {COLUMNS} FROM unnest($1::smallint[], $2::bigint[]) one (partition, entity_key)
CROSS JOIN LATERAL (
    SELECT w.* FROM jobs.waiting w
    WHERE w.partition = one.partition AND w.state = 'q' AND w.entity_key = one.entity_key
        AND NOT {SETTLED}
    ORDER BY w.lane, w.place LIMIT $3
) w
ORDER BY w.lane, w.place
"""  # noqa: S608 - names of columns
_REPLAY: Final = "SELECT jobs.replay_in_place_v1($1, $2, $3, $4, $5, $6, NULL)"
_ROW: Final = f"""
SELECT {COLUMNS} FROM jobs.waiting w WHERE w.job = $1 ORDER BY w.generation DESC LIMIT 1
"""  # noqa: S608 - names of columns


class PostgresWaitingRoom(PostgresSweeping):
    """`WaitingRoom` and `Sweeping`; every call is one statement, a transaction of its own."""

    async def record(
        self,
        fence: Fence,
        wait: Wait,
        revision: int,
        *,
        died: bytes | None = None,
        lock: bool = True,
    ) -> Answer:
        """Write one row in the place of the one with this revision; never waits for the lock."""
        async with self._pool.connection(Priority.HIGH) as connection:
            answer = await connection.fetchval(
                _RECORD,
                fence.token,
                fence.partition,
                wait.entity_key,
                wait.job,
                wait.generation,
                revision,
                wait.lane,
                wait.place,
                died,
                lock,
                wait.state,
                wait.holds,
                delay(wait.due_in),
                instant(wait.due_at),
                wait.hold,
                wait.attempt,
                wait.runs,
                wait.faults,
                wait.submission,
                wait.body,
            )
        return Answer(answer)

    async def enqueue(
        self, fence: Fence, waits: Sequence[Wait], *, locked: Collection[int] = ()
    ) -> list[Answer]:
        """Write rows that hold nothing, all in one statement."""
        if not waits:
            return []
        columns = [
            (
                wait.entity_key,
                wait.job,
                wait.generation,
                wait.state,
                wait.lane,
                wait.place,
                delay(wait.due_in),
                instant(wait.due_at),
                wait.hold,
                wait.attempt,
                wait.runs,
                wait.faults,
                wait.submission,
                wait.body,
            )
            for wait in waits
        ]
        async with self._pool.connection(Priority.NORMAL) as connection:
            answers = await connection.fetchval(
                _ENQUEUE,
                fence.token,
                fence.partition,
                list(locked),
                *zip(*columns, strict=True),
            )
        return [Answer(answer) for answer in answers]

    async def due(
        self, partitions: Collection[int], besides: Collection[JobId], limit: int
    ) -> list[Waiting]:
        """Rows whose time has come by the database's clock, the oldest first.

        Each partition's index is entered on its own and tells which rows to read, so that a long
        backlog is never sorted and what is in memory already costs no look at its row.
        """
        async with self._pool.connection(Priority.NORMAL) as connection:
            rows = await connection.fetch(_DUE, list(partitions), list(besides), limit)
        return [waiting_of(row) for row in rows]

    async def queues(self, entities: Sequence[tuple[int, int]], limit: int) -> list[list[Waiting]]:
        """Of each entity the queued rows that have not ended, in their order: lane, then place."""
        partitions, keys = zip(*entities, strict=True)
        async with self._pool.connection(Priority.NORMAL) as connection:
            rows = await connection.fetch(_QUEUES, partitions, keys, limit)
        found: dict[tuple[int, int], list[Waiting]] = {one: [] for one in entities}
        for row in rows:
            found[row["partition"], row["entity_key"]].append(waiting_of(row))
        return [found[one] for one in entities]

    async def replay_in_place(
        self, fence: Fence, entity_key: int, job: JobId, generation: int, submission: bytes
    ) -> Answer:
        """See `WaitingRoom`."""
        async with self._pool.connection(Priority.HIGH) as connection:
            answer = await connection.fetchval(
                _REPLAY,
                fence.token,
                fence.partition,
                entity_key,
                job,
                generation,
                submission,
            )
        return Answer(answer)

    async def row(self, job: JobId) -> Waiting | None:
        """See `Rows`."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            row = await connection.fetchrow(_ROW, job)
        return None if row is None else waiting_of(row)
