"""What is known of jobs, and how are ends written that need no transaction of their own?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.ids import JobId
from processor.domain.priority import LANES, Priority
from processor.ports.ledger import Answer, Ending, Flushed, Known, LedgerRow, WaitingRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import asyncpg

    from processor.adapters.postgres.pool import Pool
    from processor.ports.ledger import Entry
    from processor.ports.ownership import Fence

_LOOK_UP: Final = """
SELECT 'l' AS kind, job, generation, outcome::text AS letter, partition, lane, at_offset AS place,
       body, NULL::integer AS revision, NULL::boolean AS holds, NULL::bigint AS entity_key
FROM jobs.ledger WHERE job = ANY ($1::uuid[])
UNION ALL
SELECT 'w', job, generation, state::text, partition, lane, place, body, revision, holds, entity_key
FROM jobs.waiting WHERE job = ANY ($1::uuid[])
UNION ALL
SELECT 'w', job, generation, state::text, partition, lane, place, NULL, revision, holds, entity_key
FROM jobs.waiting w WHERE entity_key = ANY ($2::bigint[]) AND holds AND job <> ALL ($1::uuid[])
    AND NOT jobs.settled_v1(w.job, w.generation + (w.state = 'b')::integer)
UNION ALL
SELECT 's', NULL, NULL, NULL, NULL, s.lane, NULL, NULL, NULL, NULL, k
FROM unnest($2::bigint[]) k
CROSS JOIN LATERAL (
    SELECT w.lane FROM jobs.waiting w
    WHERE w.partition = ANY ($3::smallint[]) AND w.entity_key = k AND w.state = 'q'
    ORDER BY w.lane LIMIT 1
) s
"""
_FLUSH: Final = """
SELECT mine, written FROM jobs.flush_v1(
    $1::smallint[], $2::uuid[], $3::text::uuid[], $4::text::smallint[], $5::text::smallint[],
    $6::text::smallint[], $7::text::bigint[], $8::bytea[]
)
"""
"""What is long goes as text: the driver looks four times at each element of an array."""
_DECIDING: Final = """
SELECT u.number, l.job, l.generation, l.outcome::text AS letter, l.partition, l.lane,
       l.at_offset AS place, l.body
FROM unnest($1::integer[], $2::uuid[], $3::smallint[]) AS u (number, job, generation)
CROSS JOIN LATERAL (
    SELECT * FROM jobs.ledger l
    WHERE l.job = u.job AND (l.generation >= u.generation OR l.outcome NOT IN ('f', 'd'))
    ORDER BY l.generation <> u.generation, l.outcome IN ('f', 'd'), l.generation
    LIMIT 1
) l
"""
"""Its own row; else one that absorbs later generations; else that of the next generation."""
_FAIL: Final = """
SELECT jobs.record_v1(
    _token => $1, _partition => $2, _entity_key => $3, _job => $4, _generation => $5,
    _revision => $6, _lane => $7, _place => $8, _died => $9
)
"""
_LANES: Final = [str(int(lane)) for lane in LANES]


class PostgresLedger:
    """`Ledger`; every method is one statement, save that a flush reads lost races in a second."""

    def __init__(self, pool: Pool, looking: Pool | None = None) -> None:
        """`looking`: connections for `look_up`, with the settings `LOOKING`."""
        self._pool = pool
        self._looking = looking or pool

    async def look_up(
        self, partitions: Collection[int], jobs: Collection[JobId], entities: Collection[int]
    ) -> Known:
        """What is known of a fetched batch, in one round trip."""
        known = Known(ledger=[], waiting=[], spilled={})
        async with self._looking.connection(Priority.HIGH) as connection:
            rows = await connection.fetch(_LOOK_UP, list(jobs), list(entities), list(partitions))
        spilled: dict[int, Priority] = {}
        for row in rows:
            if row["kind"] == "l":
                known.ledger.append(_ledger_row(row))
            elif row["kind"] == "w":
                known.waiting.append(_waiting_row(row))
            else:
                spilled[row["entity_key"]] = Priority(row["lane"])
        return Known(known.ledger, known.waiting, spilled)

    async def flush(self, fences: Sequence[Fence], entries: Sequence[Entry]) -> Flushed:
        """Write many completions at once, under the tokens of their partitions.

        An entry that meets another's row is not written; its winner is read back, in a statement
        of its own, since the snapshot of the first does not show what it waited for.
        """
        if not entries:
            return Flushed(winners=[], fenced=frozenset())
        partitions, tokens = zip(*fences, strict=True) if fences else ((), ())
        jobs, generations, homes, lanes, offsets, bodies = zip(*entries, strict=True)
        async with self._pool.connection(Priority.NORMAL) as connection:
            answer = await connection.fetchrow(
                _FLUSH,
                partitions,
                tokens,
                _array(job.hex for job in jobs),
                _array(map(str, generations)),
                _array(map(str, homes)),
                _array(map(_LANES.__getitem__, lanes)),
                _array(map(str, offsets)),
                bodies,
            )
            assert answer is not None  # noqa: S101 - a function's one row
            mine, written = frozenset(answer["mine"]), answer["written"]
            if len(written) == len(entries):
                return Flushed(entries, frozenset())
            winners: list[Entry | LedgerRow | None] = [None] * len(entries)
            for number in written:
                winners[number - 1] = entries[number - 1]
            lost = [
                (number, entry.job, entry.generation)
                for number, entry in enumerate(entries)
                if winners[number] is None and entry.partition in mine
            ]
            found = await connection.fetch(_DECIDING, *zip(*lost, strict=True)) if lost else []
        for row in found:
            winners[row["number"]] = _ledger_row(row)
        return Flushed(winners, frozenset(entry.partition for entry in entries) - mine)

    async def fail(self, fence: Fence, entity_key: int, entry: Entry, revision: int = 0) -> Answer:
        """Write one failure, under the fence and the entity's lock; never waits for the lock."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            answer = await connection.fetchval(
                _FAIL,
                fence.token,
                fence.partition,
                entity_key,
                entry.job,
                entry.generation,
                revision,
                entry.lane,
                entry.offset,
                entry.body,
            )
        return Answer(answer)

    async def row(self, job: JobId, generation: int) -> LedgerRow | None:
        """The row that settles (job, generation): its own, or that of the deciding generation."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            row = await connection.fetchrow(_DECIDING, [0], [job], [generation])
        return None if row is None else _ledger_row(row)


def _array(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"


def _ledger_row(row: asyncpg.Record) -> LedgerRow:
    return LedgerRow(
        job=JobId(row["job"]),
        generation=row["generation"],
        ending=Ending(row["letter"]),
        partition=row["partition"],
        lane=Priority(row["lane"]),
        offset=row["place"],
        body=row["body"],
    )


def _waiting_row(row: asyncpg.Record) -> WaitingRow:
    return WaitingRow(
        job=JobId(row["job"]),
        generation=row["generation"],
        revision=row["revision"],
        state=row["letter"],
        holds=row["holds"],
        entity_key=row["entity_key"],
        lane=Priority(row["lane"]),
        place=row["place"],
        body=row["body"],
    )
