"""How do the projections' tables stand in PostgreSQL?

One transaction a batch. The advance of the checkpoints comes first: it locks their rows, so that of
two projectors the second waits, finds them moved and writes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from asyncpg import UniqueViolationError
from asyncpg.pgproto import pgproto

from processor.adapters.postgres.copying import INCOMING, copy_into
from processor.adapters.postgres.letter_columns import LETTER, letter_columns
from processor.adapters.postgres.overtaking import write_overtaking
from processor.domain.instants import microseconds
from processor.ports.projection import (
    AsideRow,
    Batch,
    HistoryRow,
    JobRecords,
    LiveRow,
    Move,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from processor.adapters.postgres.pool import Pool
    from processor.domain.ids import JobId
    from processor.ports.log import Place

SCHEMA: Final = "jobs"
PAGE: Final = 500

BEGIN: Final = """
INSERT INTO jobs.checkpoint (projection, topic, partition, next)
SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::bigint[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
CHECKPOINTS: Final = """
SELECT next
FROM unnest($2::text[], $3::smallint[]) WITH ORDINALITY AS place (topic, partition, turn)
JOIN jobs.checkpoint USING (topic, partition) WHERE projection = $1 ORDER BY turn
"""
ADVANCE: Final = """
WITH mine AS (
    SELECT held.topic, held.partition, move.after
    FROM jobs.checkpoint held
    JOIN unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[])
        AS move (topic, partition, before, after) USING (topic, partition)
    WHERE held.projection = $1 AND held.next = move.before
    ORDER BY held.topic, held.partition
    FOR UPDATE OF held
)
UPDATE jobs.checkpoint held SET next = mine.after FROM mine
WHERE held.projection = $1 AND (held.topic, held.partition) = (mine.topic, mine.partition)
RETURNING 1
"""
HISTORY: Final = """
INSERT INTO jobs.history
    (job, generation, timeline, upto, partition, at_offset, at, ended_at, body)
SELECT job, generation, timeline, upto, partition, at_offset,
    timestamptz 'epoch' + at * interval '1 microsecond',
    timestamptz 'epoch' + ended_at * interval '1 microsecond', body
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::smallint[], $5::smallint[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[])
    AS row (job, generation, timeline, upto, partition, at_offset, at, ended_at, body)
ON CONFLICT DO NOTHING
"""
ARRIVED: Final = """
INSERT INTO jobs.history
    (job, generation, timeline, upto, partition, at_offset, at, ended_at, body)
SELECT * FROM pg_temp.incoming ON CONFLICT DO NOTHING
"""
COPIED: Final = 1_000
"""From so many rows on a copy costs a fraction of the work that arrays cost."""
WARY: Final = 50
"""Copies that go by way of another table once one has met rows that are there already: where there
is one there are more, and a copy that is refused has cost as much as one that is not."""
LIVE: Final = """
INSERT INTO jobs.live AS known (job, generation, runs, at, body)
SELECT DISTINCT ON (job) job, generation, runs,
    timestamptz 'epoch' + at * interval '1 microsecond', body
FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::bigint[], $5::bytea[])
    AS row (job, generation, runs, at, body)
ORDER BY job, generation DESC, runs DESC, at DESC
ON CONFLICT (job) DO UPDATE SET
    generation = excluded.generation, runs = excluded.runs, at = excluded.at, body = excluded.body
WHERE (known.generation, known.runs, known.at)
    < (excluded.generation, excluded.runs, excluded.at)
"""
ASIDE: Final = """
INSERT INTO jobs.aside (topic, partition, at_offset, at, body)
SELECT topic, partition, at_offset, timestamptz 'epoch' + at * interval '1 microsecond', body
FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[])
    AS row (topic, partition, at_offset, at, body)
ON CONFLICT DO NOTHING
"""
RECOVERED: Final = """
DELETE FROM jobs.aside kept USING unnest($1::text[], $2::smallint[], $3::bigint[])
    AS row (topic, partition, at_offset)
WHERE (kept.topic, kept.partition, kept.at_offset) = (row.topic, row.partition, row.at_offset)
"""
KEPT_ASIDE: Final = """
SELECT topic, partition, at_offset, at, body FROM jobs.aside
WHERE topic = ANY ($1::text[])
    AND ($2::text IS NULL OR (topic, partition, at_offset) > ($2, $3, $4))
ORDER BY topic, partition, at_offset LIMIT $5
"""
OF_JOB: Final = """
SELECT generation, timeline, upto, partition, at_offset, at, ended_at, body
FROM jobs.history WHERE job = $1
UNION ALL
SELECT generation, NULL, NULL, NULL, runs, at, NULL, body FROM jobs.live WHERE job = $1
"""


class PostgresProjections:
    """`Projections` and `HistoryRows` over a pool of connections.

    `schema` holds the rows; a rebuild has a set of its own. Checkpoints stand in `jobs` always.
    """

    def __init__(self, pool: Pool, schema: str = SCHEMA) -> None:
        self._pool = pool
        self._schema = schema
        self._wary = 0

    async def begin(self, projection: str, starts: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `Projections`."""
        topics, partitions = [one.topic for one in starts], [one.partition for one in starts]
        async with self._pool.connection() as connection:
            await connection.execute(BEGIN, projection, topics, partitions, list(starts.values()))
            rows = await connection.fetch(CHECKPOINTS, projection, topics, partitions)
        return {place: row["next"] for place, row in zip(starts, rows, strict=True)}

    async def write(self, projection: str, moves: Sequence[Move], batch: Batch) -> bool:
        """See `Projections`."""
        async with self._pool.connection() as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                stands = await _advance(connection, projection, moves)
                if stands:
                    await self._insert(connection, batch)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.commit() if stands else transaction.rollback())
            return stands

    async def kept_aside(self, topics: Collection[str], after: AsideRow | None) -> list[AsideRow]:
        """See `Projections`."""
        last = after[:3] if after else (None, None, None)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(self._of(KEPT_ASIDE), list(topics), *last, PAGE)
        return [
            AsideRow(topic, partition, offset, microseconds(at), body)
            for topic, partition, offset, at, body in rows
        ]

    async def of(self, job: JobId) -> JobRecords:
        """See `HistoryRows`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(self._of(OF_JOB), job)
        history: list[HistoryRow] = []
        live: list[LiveRow] = []
        for generation, timeline, upto, partition, number, at, ended_at, body in rows:
            when = microseconds(at)
            if timeline is None:
                live.append(LiveRow(job.bytes, generation, number, when, body))
                continue
            place = (job.bytes, generation, timeline, upto, partition, number)
            ended = None if ended_at is None else microseconds(ended_at)
            history.append(HistoryRow(*place, when, ended, body))
        return JobRecords(history, live)

    async def checkpoint(self, projection: str, place: Place) -> int | None:
        """See `HistoryRows`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(CHECKPOINTS, projection, [place.topic], [place.partition])
        return rows[0]["next"] if rows else None

    def _of(self, statement: str) -> str:
        return of_set(statement, self._schema)

    async def _insert(self, connection: Any, batch: Batch) -> None:  # noqa: ANN401 - asyncpg's
        if len(batch.history) >= COPIED:
            await self._copy(connection, batch.history)
        elif batch.history:
            jobs, *rest = columns(batch.history)
            await connection.execute(self._of(HISTORY), [*map(pgproto.UUID, jobs)], *rest)
        if batch.live:
            jobs, *rest = columns(batch.live)
            await connection.execute(self._of(LIVE), [*map(pgproto.UUID, jobs)], *rest)
        if self._schema == SCHEMA:  # a hint, which no rebuild has to have
            await write_overtaking(connection, batch)
        if batch.letters:
            await connection.executemany(self._of(LETTER), letter_columns(batch.letters))
        if batch.aside:
            await connection.execute(self._of(ASIDE), *columns(batch.aside))
        if batch.recovered:
            await connection.execute(
                self._of(RECOVERED), *columns(row[:3] for row in batch.recovered)
            )

    async def _copy(self, connection: Any, rows: Sequence[HistoryRow]) -> None:  # noqa: ANN401
        if not self._wary:
            try:
                async with connection.transaction():  # a savepoint
                    await copy_into(connection, self._schema, "history", rows)
            except UniqueViolationError:
                self._wary = WARY
            else:
                return
        self._wary -= 1
        await connection.execute(INCOMING)
        await copy_into(connection, "pg_temp", "incoming", rows)
        await connection.execute(self._of(ARRIVED))


async def _advance(connection: Any, projection: str, moves: Sequence[Move]) -> bool:  # noqa: ANN401
    if not moves:
        return True
    rows = await connection.fetch(
        ADVANCE,
        projection,
        [move.place.topic for move in moves],
        [move.place.partition for move in moves],
        [move.before for move in moves],
        [move.after for move in moves],
    )
    return len(rows) == len(moves)


def of_set(statement: str, schema: str) -> str:
    """A statement over the tables of another set."""
    return re.sub(r"\bjobs\.(history|live|dead_letter|aside)\b", rf"{schema}.\1", statement)


def columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows turned by a quarter, as `unnest` takes them."""
    return [*zip(*rows, strict=True)]
