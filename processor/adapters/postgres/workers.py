"""Which workers live, as rows of `jobs.worker`?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.lineage import WRITTEN
from processor.domain.priority import Priority
from processor.ports.ownership import Beat

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool

_JOIN: Final = """
INSERT INTO jobs.worker (id, release, types) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET release = excluded.release, types = excluded.types, leaving = false
"""
_BEAT: Final = f"""
WITH mine AS (
    UPDATE jobs.worker SET beat = beat + 1, beat_at = clock_timestamp() WHERE id = $1
    RETURNING id, beat, leaving
), everybody AS (
    SELECT id, beat, leaving FROM mine
    UNION ALL
    SELECT id, beat, leaving FROM jobs.worker WHERE id <> $1
)
SELECT id, beat, leaving, {WRITTEN} AS written FROM everybody
"""  # noqa: S608 - a function of the server's


class PostgresWorkers:
    """`Workers` in the ledger's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def join(self, worker: UUID, release: str, types: Collection[str]) -> None:
        """Make this worker known, with the types it has handlers for."""
        async with self._pool.connection(Priority.CRITICAL) as connection:
            await connection.execute(_JOIN, worker, release, sorted(types))

    async def beat(self, worker: UUID) -> Mapping[UUID, Beat]:
        """Count this worker's beat up and read everybody's; itself is missing if forgotten.

        With it comes how far the log is written, by which a restored database is recognised.
        """
        async with self._pool.connection(Priority.CRITICAL) as connection:
            rows = await connection.fetch(_BEAT, worker)
            self._pool.lineage.hear(max((row["written"] for row in rows), default=0))
        return {row["id"]: Beat(row["beat"], row["leaving"]) for row in rows}

    async def leave(self, worker: UUID) -> None:
        """Say that deaths of this worker from now on mean nothing."""
        async with self._pool.connection(Priority.CRITICAL) as connection:
            await connection.execute("UPDATE jobs.worker SET leaving = true WHERE id = $1", worker)

    async def part(self, worker: UUID) -> None:
        """Forget this worker: it has let go of everything."""
        async with self._pool.connection(Priority.CRITICAL) as connection:
            await connection.execute("DELETE FROM jobs.worker WHERE id = $1", worker)
