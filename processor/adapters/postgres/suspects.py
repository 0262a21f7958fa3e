"""What is held against records, as rows of `jobs.suspect` and of `jobs.ownership`?

A mark is to outlive its worker, not the server: it is committed without waiting for the disk, so
that a record which is suspected costs no more than it must. A server that dies as well forgets the
last marks, and a poison costs one worker more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.priority import Priority

if TYPE_CHECKING:
    from processor.adapters.postgres.pool import Pool
    from processor.ports.ownership import Fence, Positions
    from processor.ports.suspects import Mark

_REACH: Final = """
UPDATE jobs.ownership o
SET suspect_until = (
    SELECT array_agg(greatest(u.before, u.now) ORDER BY u.lane)
    FROM unnest(coalesce(o.suspect_until, $3::bigint[]), $3::bigint[]) WITH ORDINALITY
        AS u (before, now, lane)
)
WHERE o.partition = $1 AND o.token = $2
RETURNING o.partition
"""
_MARK: Final = """
WITH mine AS MATERIALIZED (
    SELECT partition, set_config('synchronous_commit', 'off', true)
    FROM jobs.ownership WHERE partition = $1 AND token = $2 FOR KEY SHARE
)
INSERT INTO jobs.suspect AS s (partition, lane, at_offset, worker, alone, decoding)
SELECT partition, $4, $5, $3, $6, $7 FROM mine
ON CONFLICT (partition, lane, at_offset) DO UPDATE
SET worker = excluded.worker, alone = excluded.alone, decoding = excluded.decoding,
    marked_at = clock_timestamp()
RETURNING s.partition
"""
_CLEAR: Final = """
WITH soon AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), gone AS (
    DELETE FROM jobs.suspect USING soon
    WHERE (partition, lane, at_offset) = ($1, $2, $3) AND (worker = $4 AND deaths = 0 OR $5)
)
UPDATE jobs.suspect SET worker = NULL FROM soon
WHERE (partition, lane, at_offset, worker) = ($1, $2, $3, $4) AND deaths > 0 AND NOT $5
"""
_CALM: Final = """
WITH calmed AS (
    UPDATE jobs.ownership SET unclean = 0, suspect_until = NULL
    WHERE partition = $1 AND token = $2 AND NOT EXISTS (
        SELECT FROM jobs.waiting w
        WHERE w.partition = $1 AND w.token <> $2 AND w.state IN ('q', 's', 'r', 'u')
            AND (w.due_at IS NULL OR w.due_at <= statement_timestamp())
            AND NOT (w.state = 'q' AND EXISTS (
                SELECT FROM jobs.waiting h
                WHERE h.entity_key = w.entity_key AND h.holds AND h.job <> w.job
            ))
    )
    RETURNING partition
), gone AS (
    DELETE FROM jobs.suspect s USING calmed c WHERE s.partition = c.partition
)
SELECT partition FROM calmed
"""


class PostgresSuspects:
    """`Suspects` beside the ledger, so that both are lost or restored together."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reach(self, fence: Fence, reached: Positions) -> bool:
        """Note that the lanes will be read up to there, never back; False where fenced."""
        async with self._pool.connection(Priority.HIGH) as connection:
            return await connection.fetchrow(_REACH, *fence, reached) is not None

    async def mark(self, fence: Fence, mark: Mark) -> bool:
        """Set a mark before the record is touched; deaths counted before stay. False: fenced."""
        async with self._pool.connection(Priority.HIGH) as connection:
            return await connection.fetchrow(_MARK, *fence, *mark) is not None

    async def clear(self, partition: int, mark: Mark, *, forget: bool = False) -> None:
        """Take the mark off, if this worker's stands; `forget` the deaths counted before too."""
        async with self._pool.connection(Priority.HIGH) as connection:
            await connection.execute(_CLEAR, partition, mark.lane, mark.offset, mark.worker, forget)

    async def calm(self, fence: Fence) -> bool:
        """Forget deaths, marks and how far was read; False while that would be too early."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            return await connection.fetchrow(_CALM, *fence) is not None
