"""What is held against records, as rows of `jobs.suspect` and of `jobs.ownership`?

A mark is to outlive its worker, not the server: it is committed without waiting for the disk, so
that a record which is suspected costs no more than it must. A server that dies as well forgets the
last marks, and a poison costs one worker more. What is set and taken off while one statement is
under way shares the next one, in the order in which it was asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.priority import Priority

if TYPE_CHECKING:
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool
    from processor.ports.ownership import Fence, Positions
    from processor.ports.suspects import Mark

MOST_AT_ONCE: Final = 200

_REACH: Final = """
WITH soon AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
)
UPDATE jobs.ownership o
SET suspect_until = (
    SELECT array_agg(greatest(u.before, u.now) ORDER BY u.lane)
    FROM unnest(coalesce(o.suspect_until, $3::bigint[]), $3::bigint[]) WITH ORDINALITY
        AS u (before, now, lane)
)
FROM soon
WHERE o.partition = $1 AND o.token = $2
RETURNING o.partition
"""
_WRITE: Final = """
WITH soon AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), asked AS MATERIALIZED (
    SELECT * FROM soon, unnest(
        $1::smallint[], $2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bool[],
        $7::bool[], $8::bool[]
    ) AS a (partition, token, worker, lane, at_offset, alone, decoding, forget)
), mine AS MATERIALIZED (
    SELECT partition, token FROM jobs.ownership
    WHERE (partition, token) IN (SELECT partition, token FROM asked WHERE token IS NOT NULL)
    ORDER BY partition FOR KEY SHARE
), marked AS (
    INSERT INTO jobs.suspect AS s (partition, lane, at_offset, worker, alone, decoding)
    SELECT partition, lane, at_offset, worker, alone, decoding
    FROM asked JOIN mine USING (partition, token) ORDER BY 1, 2, 3
    ON CONFLICT (partition, lane, at_offset) DO UPDATE
    SET worker = excluded.worker, alone = excluded.alone, decoding = excluded.decoding,
        marked_at = clock_timestamp()
    RETURNING s.partition, s.lane, s.at_offset
), gone AS (
    DELETE FROM jobs.suspect s USING asked a
    WHERE (s.partition, s.lane, s.at_offset) = (a.partition, a.lane, a.at_offset)
        AND a.token IS NULL AND (s.worker = a.worker AND s.deaths = 0 OR a.forget)
), kept AS (
    UPDATE jobs.suspect s SET worker = NULL FROM asked a
    WHERE (s.partition, s.lane, s.at_offset) = (a.partition, a.lane, a.at_offset)
        AND a.token IS NULL AND s.worker = a.worker AND s.deaths > 0 AND NOT a.forget
)
SELECT partition, lane, at_offset FROM marked
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


class _Asked(NamedTuple):
    """A mark that is to be set, or taken off where there is no token."""

    partition: int
    token: UUID | None
    mark: Mark
    forget: bool = False

    @property
    def place(self) -> tuple[int, int, int]:
        return self.partition, self.mark.lane, self.mark.offset


class PostgresSuspects:
    """`Suspects` beside the ledger, so that both are lost or restored together."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: list[tuple[_Asked, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def reach(self, fence: Fence, reached: Positions) -> bool:
        """Note that the lanes will be read up to there, never back; False where fenced."""
        async with self._pool.connection(Priority.HIGH) as connection:
            return await connection.fetchrow(_REACH, *fence, reached) is not None

    async def mark(self, fence: Fence, mark: Mark) -> bool:
        """Set a mark before the record is touched; deaths counted before stay. False: fenced."""
        return await self._ask(_Asked(fence.partition, fence.token, mark))

    async def clear(self, partition: int, mark: Mark, *, forget: bool = False) -> None:
        """Take the mark off, if this worker's stands; `forget` the deaths counted before too."""
        await self._ask(_Asked(partition, None, mark, forget))

    async def calm(self, fence: Fence) -> bool:
        """Forget deaths, marks and how far was read; False while that would be too early."""
        async with self._pool.connection(Priority.NORMAL) as connection:
            return await connection.fetchrow(_CALM, *fence) is not None

    async def _ask(self, asked: _Asked) -> bool:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, answer))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        try:
            while self._asked:
                group = self._take()
                try:
                    marked = await self._written([asked for asked, _ in group])
                except Exception as error:  # noqa: BLE001 - it is everybody's who asked
                    for _, answer in group:
                        if not answer.done():
                            answer.set_exception(error)
                else:
                    for asked, answer in group:
                        if not answer.done():
                            answer.set_result(asked.place in marked)
        finally:
            self._writing = None

    def _take(self) -> list[tuple[_Asked, asyncio.Future[bool]]]:
        """What one statement may do: nothing twice at one place."""
        group = {asked.place: (asked, answer) for asked, answer in self._asked[:1]}
        for asked, answer in self._asked[1:MOST_AT_ONCE]:
            if asked.place in group:
                break
            group[asked.place] = (asked, answer)
        del self._asked[: len(group)]
        return list(group.values())

    async def _written(self, asked: list[_Asked]) -> set[tuple[int, int, int]]:
        """Write; the places that are marked now."""
        columns = zip(
            *(
                (
                    one.partition,
                    one.token,
                    one.mark.worker,
                    one.mark.lane,
                    one.mark.offset,
                    one.mark.alone,
                    one.mark.decoding,
                    one.forget,
                )
                for one in asked
            ),
            strict=True,
        )
        async with self._pool.connection(Priority.HIGH) as connection:
            rows = await connection.fetch(_WRITE, *columns)
        return {tuple(row) for row in rows}
