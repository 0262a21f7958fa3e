"""How does the janitor forget in PostgreSQL?"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from processor.domain.priority import Priority
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from processor.adapters.postgres.pool import Pool

_FIRST_DAY: Final = date(1970, 1, 1)

_REMEMBER: Final = """
INSERT INTO jobs.horizon (topic, partition, day, position)
SELECT topic, partition, date 'epoch' + $1::integer, position
FROM unnest($2::text[], $3::smallint[], $4::bigint[]) AS row (topic, partition, position)
ORDER BY topic, partition
ON CONFLICT DO NOTHING
"""
_DAYS: Final = "SELECT topic, partition, day, position FROM jobs.horizon"
_FORGET: Final = """
DELETE FROM jobs.horizon h
USING unnest($1::text[], $2::smallint[], $3::integer[]) AS row (topic, partition, day)
WHERE (h.topic, h.partition) = (row.topic, row.partition) AND h.day < date 'epoch' + row.day
"""
_CHECKPOINTS: Final = "SELECT projection, topic, partition, next FROM jobs.checkpoint"
_OPEN: Final = """
SELECT partition, min(first_fact) AS fact FROM jobs.dead_letter
WHERE closed IS NULL GROUP BY partition
"""
_DUE: Final = """
FROM jobs.ledger l
JOIN unnest($1::smallint[], $2::bigint[]) AS due (partition, before) USING (partition)
WHERE l.ended_at < timestamptz 'epoch' + $3::bigint * interval '1 microsecond'
    AND l.ended_at < timestamptz 'epoch' + due.before * interval '1 microsecond'
    AND NOT EXISTS (SELECT FROM jobs.waiting w WHERE w.job = l.job)
"""
# The index on the end's time leads to pages, not to rows: each search goes over all that is old, so
# many rows are found at once, and then deleted in small statements.
_FIND: Final = f"SELECT l.ctid {_DUE} LIMIT $4"
_PRUNE: Final = f"""
DELETE FROM jobs.ledger WHERE ctid = ANY (ARRAY(
    SELECT l.ctid {_DUE} AND l.ctid = ANY ($4::tid[])
))
"""  # noqa: S608 - ours alone
FOUND: Final = 50_000
"""Rows that are found at once."""


class PostgresForgetting:
    """`Horizon`, `ReadSide` and `LedgerPruning` over a pool of connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def remember(self, day: int, standing: Mapping[Place, int]) -> None:
        """See `Horizon`."""
        async with self._pool.connection(Priority.LOW) as connection:
            await connection.execute(_REMEMBER, day, *_columns(standing))

    async def days(self) -> Mapping[Place, Mapping[int, int]]:
        """See `Horizon`."""
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(_DAYS)
        found: defaultdict[Place, dict[int, int]] = defaultdict(dict)
        for topic, partition, day, position in rows:
            found[Place(topic, partition)][(day - _FIRST_DAY) // timedelta(days=1)] = position
        return found

    async def forget(self, before: Mapping[Place, int]) -> None:
        """See `Horizon`."""
        async with self._pool.connection(Priority.LOW) as connection:
            await connection.execute(_FORGET, *_columns(before))

    async def checkpoints(self) -> Mapping[Place, Mapping[str, int]]:
        """See `ReadSide`."""
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(_CHECKPOINTS)
        found: defaultdict[Place, dict[str, int]] = defaultdict(dict)
        for projection, topic, partition, offset in rows:
            found[Place(topic, partition)][projection] = offset
        return found

    async def open_letters(self) -> Mapping[int, int]:
        """See `ReadSide`."""
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(_OPEN)
        return {row["partition"]: row["fact"] for row in rows}

    async def prune(self, before: Mapping[int, int], limit: int) -> AsyncIterator[int]:
        """See `LedgerPruning`."""
        due = list(before), list(before.values()), max(before.values(), default=0)
        found: Sequence[Any] = [None] * FOUND
        while len(found) == FOUND:
            async with self._pool.connection(Priority.LOW) as connection:
                found = [row["ctid"] for row in await connection.fetch(_FIND, *due, FOUND)]
            for start in range(0, len(found), limit):
                async with self._pool.connection(Priority.LOW) as connection:
                    tag = await connection.execute(_PRUNE, *due, found[start : start + limit])
                yield int(tag.rpartition(" ")[2])


def _columns(numbers: Mapping[Place, int]) -> tuple[list[str], list[int], list[int]]:
    return (
        [place.topic for place in numbers],
        [place.partition for place in numbers],
        list(numbers.values()),
    )
