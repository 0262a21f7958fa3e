"""How does the history forget in PostgreSQL?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncpg.pgproto import pgproto

from processor.adapters.postgres.projection import SCHEMA, of_set
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.ports.forgetting import Ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.adapters.postgres.pool import Pool

OVER: Final = """
SELECT DISTINCT e.job FROM jobs.history e
WHERE e.ended_at < timestamptz 'epoch' + {before} * interval '1 microsecond'
    AND NOT EXISTS (
        SELECT FROM jobs.history r WHERE r.job = e.job AND (
            (r.generation, r.timeline) > (e.generation, e.timeline)
            OR r.ended_at >= timestamptz 'epoch' + {before} * interval '1 microsecond'
        )
    )
    -- Closed by a replay or a discard whose own record is not projected yet: the life goes on.
    AND NOT EXISTS (
        SELECT FROM jobs.dead_letter d
        WHERE d.job = e.job AND (d.closed IS NULL OR d.generation >= e.generation)
    )
"""
"""The jobs that are over; `{before}` stands for microseconds since the epoch."""
_ENDED: Final = """
SELECT ended_at, job FROM jobs.history
WHERE ended_at < timestamptz 'epoch' + $1::bigint * interval '1 microsecond'
    AND ($2::bigint IS NULL
        OR ended_at >= timestamptz 'epoch' + $2 * interval '1 microsecond'
        AND (ended_at, job) > (timestamptz 'epoch' + $2 * interval '1 microsecond', $3::uuid))
ORDER BY ended_at, job LIMIT $4
"""
_FORGET: Final = f"""
DELETE FROM jobs.history h
USING ({OVER.format(before="$2::bigint")} AND e.job = ANY ($1::uuid[])) AS over
WHERE h.job = over.job
"""  # noqa: S608 - ours alone
_LIVE: Final = """
WITH page AS (
    SELECT job, generation, at FROM jobs.live
    WHERE $2::uuid IS NULL OR job > $2 ORDER BY job LIMIT $3
), gone AS (
    DELETE FROM jobs.live l USING page
    WHERE l.job = page.job AND l.at = page.at AND (
        EXISTS (
            SELECT FROM jobs.history h
            WHERE h.job = l.job AND h.generation >= l.generation AND h.ended_at >= l.at
        )
        OR l.at < timestamptz 'epoch' + $1::bigint * interval '1 microsecond'
            AND NOT EXISTS (SELECT FROM jobs.history h WHERE h.job = l.job)
    )
)
SELECT job FROM page ORDER BY job DESC LIMIT 1
"""
_LETTERS: Final = """
DELETE FROM jobs.dead_letter WHERE ctid = ANY (ARRAY(
    SELECT d.ctid FROM jobs.dead_letter d
    JOIN unnest($1::smallint[], $2::bigint[]) AS start (partition, at_offset)
        ON d.partition = start.partition AND d.last_fact < start.at_offset
    WHERE d.closed IS NOT NULL LIMIT $3
)) AND closed IS NOT NULL
"""

_OVERTAKING: Final = """
DELETE FROM jobs.overtaking WHERE ctid = ANY (ARRAY(
    SELECT o.ctid FROM jobs.overtaking o
    WHERE o.failed_at < statement_timestamp() - interval '8 days' AND NOT EXISTS (
        SELECT FROM jobs.dead_letter d WHERE d.entity_key = o.entity_key AND d.closed IS NULL
    ) LIMIT $1
))
"""


class PostgresPruning:
    """`HistoryPruning` over a pool of connections; `schema` holds the rows."""

    def __init__(self, pool: Pool, schema: str = SCHEMA) -> None:
        self._pool = pool
        self._schema = schema

    async def ended(self, before: int, after: Ended | None, limit: int) -> list[Ended]:
        """See `HistoryPruning`."""
        last = (after.at, pgproto.UUID(after.job)) if after else (None, None)
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(of_set(_ENDED, self._schema), before, *last, limit)
        return [Ended(microseconds(at), job.bytes) for at, job in rows]

    async def forget(self, jobs: Sequence[bytes], before: int) -> int:
        """See `HistoryPruning`."""
        async with self._pool.connection(Priority.LOW) as connection:
            tag = await connection.execute(
                of_set(_FORGET, self._schema), [*map(pgproto.UUID, jobs)], before
            )
        return _counted(tag)

    async def forget_live(self, before: int, after: bytes | None, limit: int) -> bytes | None:
        """See `HistoryPruning`."""
        last = None if after is None else pgproto.UUID(after)
        async with self._pool.connection(Priority.LOW) as connection:
            job = await connection.fetchval(of_set(_LIVE, self._schema), before, last, limit)
        return None if job is None else job.bytes

    async def forget_letters(self, starts: Mapping[int, int], limit: int) -> int:
        """See `HistoryPruning`."""
        async with self._pool.connection(Priority.LOW) as connection:
            tag = await connection.execute(
                of_set(_LETTERS, self._schema), list(starts), list(starts.values()), limit
            )
            if self._schema == SCHEMA:
                await connection.execute(_OVERTAKING, limit)
        return _counted(tag)


def _counted(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
