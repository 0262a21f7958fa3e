"""Which entities have gone on since one of their jobs died, as rows of `jobs.overtaking`?

A row is written when a job dies and once more when its entity first completes another: as long as
none waits for that, what completes is not looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    from processor.ports.projection import Batch

    Connection = asyncpg.Connection[asyncpg.Record]

_DIED: Final = """
INSERT INTO jobs.overtaking AS known (entity_key, failed_at)
SELECT entity_key, max(timestamptz 'epoch' + at * interval '1 microsecond')
FROM unnest($1::bigint[], $2::bigint[]) AS row (entity_key, at)
GROUP BY entity_key ORDER BY entity_key
ON CONFLICT (entity_key) DO UPDATE SET failed_at = greatest(known.failed_at, excluded.failed_at)
"""
_WAITED_FOR: Final = """
SELECT EXISTS (SELECT FROM jobs.overtaking WHERE completed_at IS NULL OR completed_at <= failed_at)
"""
_WENT_ON: Final = """
UPDATE jobs.overtaking known SET completed_at = row.at
FROM (
    SELECT entity_key, timestamptz 'epoch' + at * interval '1 microsecond' AS at
    FROM unnest($1::bigint[], $2::bigint[]) AS row (entity_key, at)
) row
WHERE known.entity_key = row.entity_key AND row.at > known.failed_at
    AND (known.completed_at IS NULL OR known.completed_at <= known.failed_at)
"""


async def write_overtaking(connection: Connection, batch: Batch) -> None:
    """Write which entities a job of died, and which have gone on since."""
    if batch.died:
        await connection.execute(_DIED, *zip(*batch.died, strict=True))
    if batch.completed and await connection.fetchval(_WAITED_FOR):
        passed = batch.passed(batch.completed)
        if passed:
            await connection.execute(_WENT_ON, *zip(*passed, strict=True))
