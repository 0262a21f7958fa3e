"""What do workers, lanes and one entity look like, over the tables that workers write?

Nothing here takes a lock that a worker waits for, and nothing reads a table from end to end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.breaking import hold_of
from processor.adapters.postgres.holds import OPEN
from processor.adapters.postgres.situations import WORKERS, worker_of
from processor.adapters.postgres.waiting_rows import COLUMNS, SETTLED, waiting_of
from processor.domain.ids import JobId, entity_key, partition_of
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.ports.holds import HoldKind
from processor.ports.situations import COUNTED, LATELY
from processor.ports.views import (
    COUNTED_OF_ONE,
    EntitySeen,
    LongRun,
    Whole,
    WorkerSeen,
    WorkersSeen,
)
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from typing import Any
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool

_OWNED: Final = """
SELECT p AS partition, CASE WHEN released THEN NULL ELSE worker END AS worker
FROM generate_series(0, $1::integer - 1) AS p LEFT JOIN jobs.ownership ON partition = p
ORDER BY p
"""
_LONG: Final = f"""
SELECT w.job, w.partition, w.since, w.runs FROM jobs.waiting w
WHERE w.partition = ANY ($1::smallint[]) AND w.state = 'u' AND NOT {SETTLED}
ORDER BY w.since LIMIT 1000
"""  # noqa: S608 - our own condition
_ENTITY: Final = f"""
SELECT {COLUMNS} FROM unnest($2::"char"[]) AS wanted (state)
CROSS JOIN LATERAL (
    SELECT * FROM jobs.waiting w
    WHERE w.partition = $4 AND w.state = wanted.state AND w.entity_key = $1 AND NOT {SETTLED}
    ORDER BY w.lane, w.place LIMIT $3
) AS w
ORDER BY w.holds DESC, w.lane, w.place LIMIT $3
"""  # noqa: S608 - names of columns
_STATES: Final = f"""
SELECT wanted.state::text, counted.rows FROM unnest($2::"char"[]) AS wanted (state)
CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM (
        SELECT FROM jobs.waiting w
        WHERE w.partition = $3 AND w.state = wanted.state AND w.entity_key = $1 AND NOT {SETTLED}
        LIMIT {COUNTED_OF_ONE}
    ) AS some_of_them
) AS counted
WHERE counted.rows > 0
"""  # noqa: S608 - our own condition, and a number of ours
_POSITIONS: Final = "SELECT partition, critical, high, normal, low FROM jobs.ownership"
# `statement_timestamp`, since no index is asked for a time that may change from row to row.
_LATELY: Final = f"""
SELECT lane, count(*) FROM jobs.ledger
WHERE ended_at > statement_timestamp() - interval '{LATELY} seconds' GROUP BY lane
"""  # noqa: S608 - a number of ours
_HEADS: Final = f"""
SELECT wanted.state::text, sum(heads)::bigint FROM unnest($2::"char"[]) AS wanted (state)
CROSS JOIN generate_series(0, $1::integer - 1) AS number
CROSS JOIN LATERAL (
    SELECT count(*) AS heads FROM (
        SELECT FROM jobs.waiting w WHERE w.partition = number AND w.state = wanted.state
        LIMIT {COUNTED}
    ) AS some_of_them
) AS counted
GROUP BY wanted.state
"""  # noqa: S608 - a number of ours
_ABOUT: Final = """
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'jobs.waiting'::regclass
"""
_TOLD_STATES: Final = [
    state.value.encode() for state in (WaitingState.RETRYING, WaitingState.BLOCKING)
]
"""Each of whose rows is its entity's head."""
_STATE_LETTERS: Final = [state.value.encode() for state in WaitingState]
"""All of them, named so that the index by partition, state and entity serves."""


class PostgresViews:
    """`Views` in the ledger's database."""

    def __init__(self, pool: Pool, partitions: int) -> None:
        self._pool = pool
        self._partitions = partitions

    async def workers(self) -> WorkersSeen:
        """See `Views`."""
        async with self._pool.connection() as connection, _snapshot(connection):
            owned = await connection.fetch(_OWNED, self._partitions)
            known = await connection.fetch(WORKERS)
            long = await connection.fetch(_LONG, [row["partition"] for row in owned])
        partitions: defaultdict[UUID | None, list[int]] = defaultdict(list)
        for row in owned:
            partitions[row["worker"]].append(row["partition"])
        runs: defaultdict[int, list[LongRun]] = defaultdict(list)
        for job, partition, since, count in long:
            runs[partition].append(LongRun(JobId(job), partition, microseconds(since), count))
        seen = []
        for row in known:
            mine = tuple(partitions.pop(row["id"], ()))
            there = tuple(run for one in mine for run in runs[one])
            started = microseconds(row["started_at"])
            seen.append(WorkerSeen(worker_of(row), started, mine, there))
        ownerless = sorted(one for rest in partitions.values() for one in rest)
        return WorkersSeen(tuple(seen), tuple(ownerless))

    async def entity(self, tenant: str | None, entity: str, limit: int) -> EntitySeen:
        """See `Views`."""
        key, partition = entity_key(tenant, entity), partition_of(entity, self._partitions)
        async with self._pool.connection() as connection, _snapshot(connection):
            rows = await connection.fetch(_ENTITY, key, _STATE_LETTERS, limit + 1, partition)
            states = await connection.fetch(_STATES, key, _STATE_LETTERS, partition)
            holds = await connection.fetch(OPEN)
        waiting = [waiting_of(row) for row in rows]
        head = waiting[0] if waiting and waiting[0].wait.holds else None
        wanted = {(HoldKind.ENTITY, entity), (HoldKind.TENANT, tenant)}
        return EntitySeen(
            head=head,
            waiting=tuple(waiting[1:] if head else waiting[:limit]),
            by_state={WaitingState(state): count for state, count in states},
            holds=tuple(one for one in map(hold_of, holds) if (one.kind, one.value) in wanted),
        )

    async def whole(self) -> Whole:
        """See `Views`."""
        async with self._pool.connection() as connection, _snapshot(connection):
            positions = await connection.fetch(_POSITIONS)
            lately = await connection.fetch(_LATELY)
            heads = await connection.fetch(_HEADS, self._partitions, _TOLD_STATES)
            holds = await connection.fetch(OPEN)
            about = await connection.fetchval(_ABOUT)
        return Whole(
            positions={row[0]: (row[1], row[2], row[3], row[4]) for row in positions},
            ended_lately={Priority(lane): count for lane, count in lately},
            waiting=about or 0,
            heads={WaitingState(state): count for state, count in heads},
            holds=tuple(map(hold_of, holds)),
        )


def _snapshot(connection: Any) -> AbstractAsyncContextManager[None]:  # noqa: ANN401 - asyncpg's
    transaction: AbstractAsyncContextManager[None] = connection.transaction(
        isolation="repeatable_read", readonly=True
    )
    return transaction
