"""How are dead letters looked up in PostgreSQL?"""
# ruff: noqa: S608 - names of columns and conditions of ours alone

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from processor.adapters.postgres.waiting_rows import instant
from processor.domain.instants import microseconds
from processor.domain.selection import EVERY
from processor.ports.projection import TENANTS_TOLD, Chosen, Closing, LetterGroup, LetterRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.adapters.postgres.pool import Pool
    from processor.domain.selection import Selection
    from processor.ports.projection import LetterQuery

COLUMNS: Final = (
    "job, generation, id, died_at, closed::text, tenant, type, place, body,"
    " partition, first_fact, last_fact, release, entity_key, lane, at_offset"
)
BY_ID: Final = f"SELECT {COLUMNS} FROM jobs.dead_letter WHERE id = $1"
OVERTAKEN: Final = """EXISTS (
    SELECT FROM jobs.overtaking o WHERE o.entity_key = l.entity_key AND o.completed_at > l.died_at
)"""
_CHOSEN: Final = f"""
FROM jobs.dead_letter l WHERE {{closed}} AND body IS NOT NULL
    AND ($1::uuid[] IS NULL OR id = ANY ($1))
    AND ($2::text IS NULL OR type = $2) AND ($3::text IS NULL OR place = $3)
    AND ($4::text IS NULL OR release = $4) AND ($5::text IS NULL OR tenant = $5)
    AND ($6::timestamptz IS NULL OR died_at >= $6) AND ($7::timestamptz IS NULL OR died_at < $7)
    AND ($8::boolean IS NULL OR {OVERTAKEN} = $8)
"""
_PAGE: Final = f"""
SELECT {COLUMNS} {{chosen}}
    AND ($9::timestamptz IS NULL OR (died_at, id) > ($9, $10))
ORDER BY died_at, id LIMIT $11
"""
_SIZE: Final = """
SELECT count(*), count(DISTINCT entity_key) + count(*) FILTER (WHERE entity_key IS NULL) {chosen}
"""
_GROUPS: Final = f"""
SELECT type, place, coalesce(release, '') AS released, count(*) AS letters,
    min(died_at) AS first_at, max(died_at) AS last_at,
    (array_agg(DISTINCT tenant) FILTER (WHERE tenant IS NOT NULL))[:{TENANTS_TOLD}] AS tenants,
    count(DISTINCT tenant) AS tenant_count,
    count(*) FILTER (WHERE {OVERTAKEN}) AS overtaken
{{chosen}}
GROUP BY type, place, released
ORDER BY letters DESC, type COLLATE "C", place COLLATE "C", min(release) COLLATE "C"
"""


class PostgresLetters:
    """`LetterRows` over a pool of connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_id(self, dead_letter: UUID) -> LetterRow | None:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(BY_ID, dead_letter)
        return None if row is None else letter_row(row)

    async def chosen(self, query: LetterQuery) -> list[LetterRow]:
        """See `LetterRows`."""
        last = (instant(query.after.died_at), query.after.id) if query.after else (None, None)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(
                choosing(_PAGE, query.selection), *filters_of(query.selection), *last, query.limit
            )
        return [letter_row(row) for row in rows]

    async def size(self, selection: Selection = EVERY) -> Chosen:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(choosing(_SIZE, selection), *filters_of(selection))
        assert row is not None  # noqa: S101 - an aggregate has one row
        return Chosen(*row)

    async def groups(self, selection: Selection = EVERY) -> list[LetterGroup]:
        """See `LetterRows`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(choosing(_GROUPS, selection), *filters_of(selection))
        return [
            LetterGroup(
                row["type"],
                row["place"],
                row["letters"],
                microseconds(row["first_at"]),
                microseconds(row["last_at"]),
                row["released"],
                tuple(row["tenants"] or ()),
                row["tenant_count"],
                row["overtaken"],
            )
            for row in rows
        ]


def choosing(statement: str, selection: Selection) -> str:
    """A statement in which `{chosen}` are the letters of a selection: each way its own plan."""
    closed = "closed = 'd'" if selection.discarded else "closed IS NULL"
    return statement.format(chosen=_CHOSEN.format(closed=closed))


def filters_of(selection: Selection) -> tuple[Any, ...]:
    """What stands for the first 8 parameters of a statement that chooses."""
    return (
        list(selection.ids) or None,
        selection.type,
        selection.place,
        selection.release,
        selection.tenant,
        instant(selection.died_after),
        instant(selection.died_before),
        selection.overtaken,
    )


def letter_row(row: Iterable[Any]) -> LetterRow:
    """A letter of its columns."""
    job, generation, identity, died_at, closed, *rest = row
    return LetterRow(
        job.bytes,
        generation,
        UUID(int=identity.int),
        microseconds(died_at),
        Closing(closed) if closed else None,
        *rest,
    )
