"""How are dead letters looked up in PostgreSQL?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from processor.adapters.postgres.projection import microseconds
from processor.ports.projection import Closing, LetterGroup, LetterQuery, LetterRow

if TYPE_CHECKING:
    import asyncpg

    from processor.adapters.postgres.pool import Pool

COLUMNS: Final = "job, generation, id, died_at, closed::text, tenant, type, place, body"
BY_ID: Final = f"SELECT {COLUMNS} FROM jobs.dead_letter WHERE id = $1"  # noqa: S608 - ours alone
OPEN: Final = f"""
SELECT {COLUMNS} FROM jobs.dead_letter
WHERE closed IS NULL AND body IS NOT NULL
    AND ($1::text IS NULL OR type = $1) AND ($2::text IS NULL OR place = $2)
    AND ($3::text IS NULL OR tenant = $3)
    AND ($4::bigint IS NULL
        OR (died_at, id) > (timestamptz 'epoch' + $4 * interval '1 microsecond', $5))
ORDER BY died_at, id LIMIT $6
"""  # noqa: S608 - column names of ours alone
SIZE: Final = "SELECT count(*) FROM jobs.dead_letter WHERE closed IS NULL AND body IS NOT NULL"
GROUPS: Final = """
SELECT type, place, count(*) AS letters, min(died_at) AS first_at, max(died_at) AS last_at
FROM jobs.dead_letter WHERE closed IS NULL AND body IS NOT NULL
GROUP BY type, place ORDER BY letters DESC, type COLLATE "C", place COLLATE "C"
"""


class PostgresLetters:
    """`LetterRows` over a pool of connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_id(self, dead_letter: UUID) -> LetterRow | None:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(BY_ID, dead_letter)
        return None if row is None else _letter(row)

    async def open(self, query: LetterQuery) -> list[LetterRow]:
        """See `LetterRows`."""
        last = (query.after.died_at, query.after.id) if query.after else (None, None)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(
                OPEN, query.type, query.place, query.tenant, *last, query.limit
            )
        return [_letter(row) for row in rows]

    async def size(self) -> int:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            size: int = await connection.fetchval(SIZE)
        return size

    async def groups(self) -> list[LetterGroup]:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(GROUPS)
        return [
            LetterGroup(type_, place, letters, microseconds(first), microseconds(last))
            for type_, place, letters, first, last in rows
        ]


def _letter(row: asyncpg.Record) -> LetterRow:
    job, generation, identity, died_at, closed, tenant, type_, place, body = row
    return LetterRow(
        job.bytes,
        generation,
        UUID(int=identity.int),
        microseconds(died_at),
        Closing(closed) if closed else None,
        tenant,
        type_,
        place,
        body,
    )
