"""What in `jobs.waiting` does nobody's turn bring back?

A million rows may wait, so no call here reads all of them. Stranded entities are found by skipping
through an index from entity to entity, whatever the number of their rows; settled rows by walking
the primary key, whose leaves carry all that decides. Both stop after a fixed number of looks and go
on there the next time. What is woken is woken in small transactions that pass by rows which
somebody is writing: whoever writes them looks again himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from processor.adapters.postgres.waiting_rows import COLUMNS, SETTLED, waiting_of
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Collection

    from processor.adapters.postgres.pool import Pool
    from processor.domain.ids import JobId
    from processor.ports.waiting_room import Waiting, WaitingState

ENTITIES: Final = 500
PAGES: Final = 10
"""Entities that one statement of `stranded` looks at, and statements of one call."""
ROWS: Final = 20_000
"""Rows that one call of `settled` looks at."""
WOKEN: Final = 2_000
"""Rows that one transaction makes due."""
LOOKED_AT: Final = 1_000
"""Held rows among which a probe is chosen."""
FIRST_ENTITY: Final = -(2**63)
LAST_ENTITY: Final = 2**63 - 1
BEFORE_EVERY_ROW: Final = (UUID(int=0), -1)

_STRANDED: Final = f"""
WITH RECURSIVE entity (partition, entity_key) AS (
    SELECT u.partition, f.entity_key
    FROM unnest($1::smallint[], $2::bigint[]) AS u (partition, start)
    CROSS JOIN LATERAL (
        SELECT q.entity_key FROM jobs.waiting q
        WHERE q.partition = u.partition AND q.state = 'q' AND q.entity_key >= u.start
        ORDER BY q.entity_key LIMIT 1
    ) f
    UNION ALL
    SELECT e.partition, f.entity_key
    FROM entity e
    CROSS JOIN LATERAL (
        SELECT q.entity_key FROM jobs.waiting q
        WHERE q.partition = e.partition AND q.state = 'q' AND q.entity_key > e.entity_key
        ORDER BY q.entity_key LIMIT 1
    ) f
), seen AS MATERIALIZED (
    SELECT * FROM entity LIMIT $3
)
SELECT s.partition, s.entity_key, NOT EXISTS (
    SELECT FROM jobs.waiting w WHERE w.entity_key = s.entity_key AND w.holds AND NOT {SETTLED}
    OFFSET 0
) AS stranded
FROM seen s
"""  # noqa: S608 - names of columns
_SETTLED: Final = f"""
WITH seen AS MATERIALIZED (
    SELECT w.job, w.generation, w.partition, w.state FROM jobs.waiting w
    WHERE (w.job, w.generation) > ($1::uuid, $2::smallint)
    ORDER BY w.job, w.generation LIMIT $3
), found AS (
    SELECT w.job, w.generation FROM seen w
    WHERE w.partition = ANY ($4::smallint[]) AND {SETTLED}
    ORDER BY w.job, w.generation LIMIT $5
)
SELECT f.job, f.generation, false AS last FROM found f
UNION ALL
(SELECT s.job, s.generation, true FROM seen s
 ORDER BY s.job DESC, s.generation DESC LIMIT (SELECT (count(*) = $3)::integer FROM seen))
"""  # noqa: S608 - names of columns
_ROWS: Final = f"""
SELECT {COLUMNS} FROM jobs.waiting w
JOIN unnest($1::uuid[], $2::smallint[]) AS u (job, generation) USING (job, generation)
"""  # noqa: S608 - names of columns
_ORPHANS: Final = f"""
WITH RECURSIVE held (hold) AS (
    (SELECT h.hold FROM jobs.waiting h WHERE h.hold IS NOT NULL ORDER BY h.hold LIMIT 1)
    UNION ALL
    SELECT f.hold FROM held CROSS JOIN LATERAL (
        SELECT h.hold FROM jobs.waiting h WHERE h.hold > held.hold ORDER BY h.hold LIMIT 1
    ) f
)
SELECT w.* FROM held
CROSS JOIN unnest($1::smallint[]) p
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM jobs.waiting w WHERE w.hold = held.hold AND w.partition = p LIMIT $2
) w
WHERE held.hold <> ALL ($3::bigint[]) AND NOT EXISTS (
    SELECT FROM jobs.hold o
    WHERE o.id = held.hold AND o.ended_at IS NULL
        AND (o.until IS NULL OR o.until > statement_timestamp())
)
LIMIT $2
"""  # noqa: S608 - names of columns
_OVER: Final = f"""(
    {SETTLED}
    OR EXISTS (
        SELECT FROM jobs.waiting later
        WHERE later.job = w.job AND later.generation > w.generation
        OFFSET 0
    )
)"""
_REMOVE: Final = f"""
WITH seen AS (
    SELECT w.job, w.generation, {_OVER} AS over FROM jobs.waiting w
    JOIN unnest($1::uuid[], $2::smallint[]) AS u (job, generation) USING (job, generation)
    WHERE w.state = 'b' OR {_OVER}
    ORDER BY w.job, w.generation FOR UPDATE OF w
), at_rest AS (
    UPDATE jobs.waiting SET due_at = NULL FROM seen
    WHERE (waiting.job, waiting.generation) = (seen.job, seen.generation)
        AND NOT seen.over AND waiting.due_at IS NOT NULL
)
DELETE FROM jobs.waiting USING seen
WHERE (waiting.job, waiting.generation) = (seen.job, seen.generation) AND seen.over
"""  # noqa: S608 - names of columns
_WAKE: Final = """
WITH seen AS (
    SELECT job, generation, entity_key FROM jobs.waiting
    WHERE partition = $1 AND state = $2::text::"char" AND entity_key >= $3
        AND (due_at IS NULL OR due_at > statement_timestamp())
        AND (hold IS NULL OR hold <> ALL ($5::bigint[]))
    ORDER BY entity_key LIMIT $4
    FOR UPDATE SKIP LOCKED
), woken AS (
    UPDATE jobs.waiting SET due_at = statement_timestamp()
    FROM seen WHERE (waiting.job, waiting.generation) = (seen.job, seen.generation)
)
SELECT max(entity_key) AS last, count(*) AS woken FROM seen
"""
_WAKE_HOLD: Final = """
UPDATE jobs.waiting
SET due_at = statement_timestamp(), since = statement_timestamp(), hold = NULL
FROM (
    SELECT job, generation FROM jobs.waiting
    WHERE hold = $1 AND partition = ANY ($2::smallint[]) LIMIT $3
    FOR UPDATE SKIP LOCKED
) seen
WHERE (waiting.job, waiting.generation) = (seen.job, seen.generation)
RETURNING 1
"""
_WAKE_PROBE: Final = """
WITH looked_at AS MATERIALIZED (
    SELECT job, generation FROM jobs.waiting
    WHERE hold = $1 AND partition = ANY ($2::smallint[]) LIMIT $3
), chosen AS (
    SELECT job, generation FROM jobs.waiting JOIN looked_at USING (job, generation)
    WHERE hold = $1 AND (due_at IS NULL OR due_at > statement_timestamp())
    ORDER BY attempt, since, job LIMIT 1
    FOR UPDATE OF waiting SKIP LOCKED
)
UPDATE jobs.waiting SET due_at = statement_timestamp() FROM chosen
WHERE (waiting.job, waiting.generation) = (chosen.job, chosen.generation)
RETURNING 1
"""


class PostgresSweeping:
    """`Sweeping` over a pool of connections for our own statements."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._entity: dict[int, int] = {}
        """By partition the first entity that was not looked at; none: from the start."""
        self._row = BEFORE_EVERY_ROW
        """The last row that was looked at."""

    async def stranded(self, partitions: Collection[int], limit: int) -> list[tuple[int, int]]:
        """(partition, entity) of queued rows whose entity has no unsettled head."""
        found: list[tuple[int, int]] = []
        for _ in range(PAGES if partitions else 0):
            ended = await self._look(partitions, limit, found)
            if ended or len(found) == limit:
                break
        return found

    async def _look(
        self, partitions: Collection[int], limit: int, found: list[tuple[int, int]]
    ) -> bool:
        """Look at a page of entities, adding to `found`; True where the room's end was reached."""
        starts = [(number, self._entity.get(number, FIRST_ENTITY)) for number in partitions]
        async with self._pool.connection(Priority.LOW) as connection:
            seen = await connection.fetch(_STRANDED, *zip(*starts, strict=True), ENTITIES)
        reached = dict(starts)
        ended = len(seen) < ENTITIES
        for number, entity, stranded in seen:
            if stranded and len(found) == limit:
                ended = False
                break
            reached[number] = min(entity + 1, LAST_ENTITY)
            if stranded:
                found.append((number, entity))
        self._entity = {} if ended else reached
        return ended

    async def settled(self, partitions: Collection[int], limit: int) -> list[Waiting]:
        """Rows that are settled in the ledger and still there."""
        async with self._pool.connection(Priority.LOW) as connection:
            seen = await connection.fetch(_SETTLED, *self._row, ROWS, list(partitions), limit)
            found = [(row["job"], row["generation"]) for row in seen if not row["last"]]
            last = [(row["job"], row["generation"]) for row in seen if row["last"]]
            rows = await connection.fetch(_ROWS, *zip(*found, strict=True)) if found else []
        if len(found) == limit:
            self._row = max(found)
        else:
            self._row = last[0] if last else BEFORE_EVERY_ROW
        return [waiting_of(row) for row in rows]

    async def orphans(
        self, partitions: Collection[int], limit: int, besides: Collection[int] = ()
    ) -> list[Waiting]:
        """Rows whose hold is no longer open; of each hold the index is entered once."""
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(_ORPHANS, list(partitions), limit, list(besides))
        return [waiting_of(row) for row in rows]

    async def remove(self, rows: Collection[tuple[JobId, int]]) -> None:
        """Delete rows that are over, in the order of the key."""
        if not rows:
            return
        async with self._pool.connection(Priority.NORMAL) as connection:
            await connection.execute(_REMOVE, *zip(*rows, strict=True))

    async def wake(
        self,
        partition: int,
        states: Collection[WaitingState],
        *,
        but_of_holds: Collection[int] = (),
    ) -> None:
        """Make a partition's rows of these states due now, in many small transactions."""
        for state in states:
            start: int | None = FIRST_ENTITY
            while start is not None:
                start = await self._wake(partition, state, start, list(but_of_holds))

    async def _wake(
        self, partition: int, state: WaitingState, start: int, but_of: list[int]
    ) -> int | None:
        async with self._pool.connection(Priority.NORMAL) as connection:
            woken = await connection.fetchrow(_WAKE, partition, state, start, WOKEN, but_of)
        assert woken is not None  # noqa: S101 - an aggregate's one row
        return woken["last"] if woken["woken"] == WOKEN else None

    async def wake_hold(self, hold: int, partitions: Collection[int], limit: int) -> int:
        """Make rows that a hold kept due now, in small transactions."""
        woken = 0
        while woken < limit:
            portion = min(WOKEN, limit - woken)
            async with self._pool.connection(Priority.NORMAL) as connection:
                rows = await connection.fetch(_WAKE_HOLD, hold, list(partitions), portion)
            woken += len(rows)
            if len(rows) < portion:
                break
        return woken

    async def wake_probe(self, hold: int, partitions: Collection[int]) -> bool:
        """Make one of the rows that a hold keeps due now."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            rows = await connection.fetch(_WAKE_PROBE, hold, list(partitions), LOOKED_AT)
        return bool(rows)
