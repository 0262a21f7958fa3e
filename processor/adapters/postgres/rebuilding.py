"""How does a second set of tables take the place of the first in PostgreSQL?

While it is completed and compared nobody writes to it; the projector writes to the first all the
time, so both are read from one snapshot, up to where both have read. The replacing transaction
locks the first set's checkpoints: a projector's next write waits there, and goes on after it from
where it was.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from processor.adapters.postgres import reconciling, second_set
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.second_set import SECOND
from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.ports.rebuilding import Comparison, Completed, Difference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from processor.adapters.postgres.pool import Pool
    from processor.adapters.postgres.second_set import Connection
    from processor.domain.topics import Topics
    from processor.ports.projection import Projections
    from processor.ports.rebuilding import Start

    Passed = Callable[[Mapping[str, Mapping[Place, int]]], Awaitable[bool]]


class PostgresRebuilding:
    """`Rebuilding` over two pools of one database.

    `pool` is for the rebuild's projectors, `patient` for statements that go over whole tables.
    """

    def __init__(self, pool: Pool, patient: Pool, topics: Topics) -> None:
        self._pool = pool
        self._patient = patient
        self._topics = topics
        self._markers = {topics.lane(lane): lane - len(LANES) for lane in LANES} | {
            topics.events: reconciling.JOURNAL_MARKER,
            topics.dead_letters: reconciling.LETTER_MARKER,
        }

    async def prepare(self) -> Projections:
        """See `Rebuilding`."""
        async with self._transaction() as connection:
            await connection.execute(reconciling.CHECKPOINTS)
            await second_set.create(connection)
        return PostgresProjections(self._pool, SECOND)

    async def complete(self, starts: Mapping[Place, Start], before: int) -> Completed:
        """See `Rebuilding`."""
        rows = [
            (*place, self._markers[place.topic], *start, self._projection(place))
            for place, start in starts.items()
        ]
        async with self._transaction() as connection:
            await connection.execute("TRUNCATE jobs_rebuild.start, jobs_rebuild.reaching")
            await connection.execute(reconciling.START, *zip(*rows, strict=True))
            for statement in (
                reconciling.REACHING,
                reconciling.COPY,
                reconciling.LETTERS,
                reconciling.ASIDE,
                reconciling.RUNNING,
            ):
                await connection.execute(statement)
            copied = await connection.fetchval(reconciling.COPIED)
            forgotten = await connection.fetchval(reconciling.FORGOTTEN, before)
            await connection.execute(reconciling.ENDED)
        async with self._patient.connection() as connection:
            for table in second_set.TABLES:
                await connection.execute(f"ANALYZE {SECOND}.{table}")
        return Completed(copied, forgotten)

    async def compare(self, shown: int) -> Comparison:
        """See `Rebuilding`."""
        rows = different = 0
        found: list[Difference] = []
        async with self._transaction() as connection:
            await connection.execute(reconciling.COVERED)
            for table, statement in reconciling.COMPARED.items():
                counted = await connection.fetchrow(statement, shown)
                assert counted is not None  # noqa: S101 - an aggregate has one row
                rows += counted["rows"]
                different += counted["different"]
                named = zip(counted["names"] or (), counted["said"] or (), strict=True)
                found += [Difference(table, name, said) for name, said in named]
        return Comparison(rows, different, found[:shown])

    async def replace(self, passed: Passed) -> bool:
        """See `Rebuilding`."""
        async with self._pool.connection() as connection:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                standing: dict[str, dict[Place, int]] = {}
                for name, topic, partition, offset in await connection.fetch(reconciling.STANDING):
                    standing.setdefault(name, {})[Place(topic, partition)] = offset
                replaced = await passed(standing)
                if replaced:
                    await second_set.put_in_place(connection)
                    await connection.execute(reconciling.CHECKPOINTS)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.commit() if replaced else transaction.rollback())
            return replaced

    async def abandon(self) -> None:
        """See `Rebuilding`."""
        async with self._transaction() as connection:
            await second_set.drop(connection)
            await connection.execute(reconciling.CHECKPOINTS)

    def _projection(self, place: Place) -> str:
        return "dead-letters" if place.topic == self._topics.dead_letters else "history"

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """One snapshot from begin to end."""
        async with (
            self._patient.connection() as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            yield connection
