"""Do memory and PostgreSQL complete, compare and replace the projections' tables alike?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import pytest

from processor.adapters.memory.clock import START
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.forgetting import MemoryForgetting
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.rebuilding import MemoryRebuilding
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.rebuilding import PostgresRebuilding
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.topics import Topics
from processor.ports.forgetting import ReadSide
from processor.ports.log import Place
from processor.ports.projection import (
    AsideRow,
    Batch,
    Closing,
    HistoryRow,
    HistoryRows,
    LetterRow,
    LetterRows,
    LiveRow,
    Move,
    Projections,
)
from processor.ports.rebuilding import Difference, Rebuilding, Start

TOPICS = Topics("jobs")
LOW, EVENTS, FACTS = (
    Place(one, 0) for one in (TOPICS.lanes[3], TOPICS.events, TOPICS.dead_letters)
)
PLACES = (LOW, EVENTS, FACTS)
END = 100
NOBODY_CUT = dict.fromkeys(PLACES, Start(0, 0))
OLD = START - 1_000
"""What ended before START is over."""


class Rows(Projections, HistoryRows, Protocol):
    """The rows of the projections."""


@dataclass
class Parts:
    live: Rows
    letters: LetterRows
    read_side: ReadSide
    rebuilding: Rebuilding

    async def read(self, history: int = END, letters: int = END) -> None:
        """The tables have read as far as that."""
        await advance(self.live, "", history, letters)

    async def prepared(self, history: int = END, letters: int = END) -> Projections:
        """A second set that has read as far as that."""
        second = await self.rebuilding.prepare()
        await advance(second, "rebuild:", history, letters)
        return second

    async def jobs(self, *numbers: int) -> list[int]:
        """How many rows the tables hold of each."""
        return [len((await self.live.of(JobId(UUID(int=one)))).history) for one in numbers]


async def advance(rows: Projections, prefix: str, history: int, letters: int) -> None:
    for name, places, offset in (
        ("history", (LOW, EVENTS), history),
        ("dead-letters", (FACTS,), letters),
    ):
        stands = await rows.begin(prefix + name, dict.fromkeys(places, 0))
        moves = [Move(place, stands[place], offset) for place in places]
        assert await rows.write(prefix + name, moves, Batch())


async def passed(_: Mapping[str, Mapping[Place, int]]) -> bool:
    return True


@pytest.fixture(params=["memory", "postgres"])
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    if request.param == "memory":
        live = MemoryProjections()
        read_side = MemoryForgetting(MemoryDatabase(), live, {})
        yield Parts(live, live, read_side, MemoryRebuilding(live, TOPICS))
        return
    url = await asyncio.to_thread(request.getfixturevalue, "database")
    async with Pool(url, 4, settings=SERVICE) as pool, Pool(url, 1) as patient:
        yield Parts(
            PostgresProjections(pool),
            PostgresLetters(pool),
            PostgresForgetting(pool),
            PostgresRebuilding(pool, patient, TOPICS),
        )


def queued(number: int, offset: int | None = None, at: int = START) -> HistoryRow:
    where = number if offset is None else offset
    return HistoryRow(JobId(UUID(int=number)).bytes, 1, 0, -1, 0, where, at, None, b"queued")


def ended(number: int, offset: int | None = None, at: int = START + 1) -> HistoryRow:
    where = number if offset is None else offset
    return HistoryRow(JobId(UUID(int=number)).bytes, 1, 1, 2, 0, where, START, at, b"ended")


def letter(number: int, fact: int, last: int, closed: Closing | None = None) -> LetterRow:
    job = JobId(UUID(int=number))
    row = LetterRow(
        job.bytes, 1, dead_letter_id(job, 1), START, closed, "t", "type", "place", b"died"
    )
    return row._replace(first_fact=fact, last_fact=last)


async def test_a_set_that_says_the_same_takes_the_place_and_the_checkpoints_stay(
    parts: Parts,
) -> None:
    batch = Batch([queued(1), ended(1), queued(2)], letters=[letter(1, 3, 3)])
    await parts.read(60, 50)
    await parts.live.write("history", [], batch)
    second = await parts.prepared()
    await second.write("rebuild:history", [], batch)
    completed = await parts.rebuilding.complete(NOBODY_CUT, START)
    assert (completed.copied, completed.forgotten) == (0, 0)
    comparison = await parts.rebuilding.compare(20)
    assert (comparison.rows, comparison.different) == (4, 0)
    assert await parts.rebuilding.replace(passed)
    assert await parts.jobs(1, 2, 3) == [2, 1, 0]
    assert await parts.letters.by_id(letter(1, 3, 3).id) == letter(1, 3, 3)
    assert await parts.read_side.checkpoints() == {
        LOW: {"history": 60},
        EVENTS: {"history": 60},
        FACTS: {"dead-letters": 50},
    }


async def test_the_tables_are_written_to_after_a_replacement_as_before(parts: Parts) -> None:
    await parts.read()
    for _ in range(2):
        await parts.prepared()
        await parts.rebuilding.complete(NOBODY_CUT, START)
        assert await parts.rebuilding.replace(passed)
    aside = AsideRow(LOW.topic, 0, 7, START, b"?")
    live = LiveRow(queued(1).job, 1, 1, START, b"runs")
    batch = Batch([queued(1), queued(1)], [live, live], [letter(1, 3, 3)] * 2, [aside, aside])
    for before in (END, END + 1):
        assert await parts.live.write("history", [Move(LOW, before, before + 1)], batch)
    assert await parts.jobs(1) == [1]
    assert await parts.live.kept_aside([LOW.topic], None) == [aside]
    assert await parts.letters.by_id(letter(1, 3, 3).id) == letter(1, 3, 3)


async def test_every_kind_of_difference_is_named(parts: Parts) -> None:
    await parts.read()
    await parts.live.write(
        "history", [], Batch([queued(1), queued(2), ended(2)], letters=[letter(1, 3, 3)])
    )
    second = await parts.prepared()
    otherwise = ended(2)._replace(body=b"otherwise")
    await second.write(
        "rebuild:history", [], Batch([queued(2), otherwise, queued(3)], letters=[letter(2, 4, 4)])
    )
    await parts.rebuilding.complete(NOBODY_CUT, START - 10)
    comparison = await parts.rebuilding.compare(20)
    one, two, three = (str(UUID(int=number)) for number in (1, 2, 3))
    assert sorted(comparison.differences) == sorted(
        [
            Difference("dead_letter", f"{one} 1", "only the table holds it"),
            Difference("dead_letter", f"{two} 1", "only the log tells of it"),
            Difference("history", f"{one} 1 0 -1", "only the table holds it"),
            Difference("history", f"{two} 1 1 2", "the log tells it otherwise"),
            Difference("history", f"{three} 1 0 -1", "only the log tells of it"),
        ]
    )
    assert comparison.different == 5
    few = await parts.rebuilding.compare(2)
    assert (few.different, len(few.differences)) == (5, 2)


async def test_what_only_one_side_has_read_yet_is_no_difference(parts: Parts) -> None:
    await parts.read(50, 50)
    await parts.live.write(
        "history", [], Batch([queued(1, 10), queued(2, 45)], letters=[letter(1, 3, 45)])
    )
    second = await parts.prepared(40, 40)
    await second.write(
        "rebuild:history", [], Batch([queued(1, 10), queued(3, 41)], letters=[letter(1, 3, 3)])
    )
    await parts.rebuilding.complete(NOBODY_CUT, START)
    comparison = await parts.rebuilding.compare(20)
    assert (comparison.rows, comparison.different) == (1, 0)


async def test_jobs_that_reach_further_back_than_the_log_are_copied_as_they_are(
    parts: Parts,
) -> None:
    await parts.read()
    await parts.live.write(
        "history",
        [],
        Batch(
            [queued(1, 5), ended(1, 60), queued(2, 60), ended(2, 61)],
            letters=[letter(1, 5, 60, Closing.REPLAYED), letter(2, 40, 41)],
            aside=[AsideRow(LOW.topic, 0, 7, OLD, b"?")],
        ),
    )
    second = await parts.prepared()
    # Of job 1 the log has the end only, of its letter only the closing.
    closing = letter(1, 60, 60, Closing.REPLAYED)._replace(
        died_at=None, tenant=None, type=None, place=None, body=None
    )
    await second.write(
        "rebuild:history",
        [],
        Batch([ended(1, 60), queued(2, 60), ended(2, 61)], letters=[closing, letter(2, 40, 41)]),
    )
    starts = {LOW: Start(20, OLD), EVENTS: Start(20, OLD), FACTS: Start(20, OLD)}
    completed = await parts.rebuilding.complete(starts, START)
    assert (completed.copied, completed.forgotten) == (1, 0)
    assert (await parts.rebuilding.compare(20)).different == 0
    assert await parts.rebuilding.replace(passed)
    assert await parts.jobs(1, 2) == [2, 2]
    found = await parts.letters.by_id(letter(1, 5, 60).id)
    assert found == letter(1, 5, 60, Closing.REPLAYED)
    assert len(await parts.live.kept_aside([LOW.topic], None)) == 1


async def test_a_job_that_is_over_and_forgotten_does_not_come_back(parts: Parts) -> None:
    await parts.read()
    await parts.live.write("history", [], Batch([queued(9)]))
    second = await parts.prepared()
    await second.write(
        "rebuild:history",
        [],
        Batch(
            [queued(1), ended(1, at=OLD), queued(2), ended(2), queued(9)],
            live=[LiveRow(queued(1).job, 1, 1, OLD, b"runs")],
        ),
    )
    completed = await parts.rebuilding.complete(NOBODY_CUT, START)
    assert (completed.copied, completed.forgotten) == (0, 1)
    comparison = await parts.rebuilding.compare(20)
    assert {one.row.split()[0] for one in comparison.differences} == {str(UUID(int=2))}
    assert await parts.rebuilding.replace(passed)
    assert await parts.jobs(1, 2, 9) == [0, 2, 1]


async def test_a_job_whose_end_was_cut_with_the_journal_does_not_come_back(parts: Parts) -> None:
    await parts.read()
    await parts.live.write("history", [], Batch([queued(3, 30, START - 5)]))
    second = await parts.prepared()
    await second.write(
        "rebuild:history", [], Batch([queued(2, 20, START - 5), queued(3, 30, START - 5)])
    )
    starts = {LOW: Start(10, OLD), EVENTS: Start(20, START), FACTS: Start(0, 0)}
    completed = await parts.rebuilding.complete(starts, START - 100)
    assert (completed.copied, completed.forgotten) == (1, 1)
    assert (await parts.rebuilding.compare(20)).different == 0
    assert await parts.rebuilding.replace(passed)
    assert await parts.jobs(2, 3) == [0, 1]


async def test_what_the_tables_have_not_read_yet_they_cannot_have_forgotten(parts: Parts) -> None:
    await parts.read(10)
    second = await parts.prepared()
    await second.write("rebuild:history", [], Batch([queued(1, 40), ended(1, 41, OLD)]))
    completed = await parts.rebuilding.complete(NOBODY_CUT, START)
    assert completed.forgotten == 0
    assert await parts.rebuilding.replace(passed)
    assert await parts.jobs(1) == [2]


async def test_a_refusal_changes_nothing_and_an_abandoned_set_leaves_nothing(parts: Parts) -> None:
    await parts.read()
    await parts.live.write("history", [], Batch([queued(1)]))
    before = await parts.read_side.checkpoints()
    second = await parts.prepared()
    await second.write("rebuild:history", [], Batch([queued(2)]))
    told: list[Mapping[str, Mapping[Place, int]]] = []

    async def refuse(standing: Mapping[str, Mapping[Place, int]]) -> bool:
        told.append(standing)
        return False

    assert not await parts.rebuilding.replace(refuse)
    assert told == [{"history": {LOW: END, EVENTS: END}, "dead-letters": {FACTS: END}}]
    await parts.rebuilding.abandon()
    await parts.rebuilding.abandon()
    assert await parts.read_side.checkpoints() == before
    assert await parts.jobs(1, 2) == [1, 0]


async def test_a_projector_that_writes_meanwhile_waits_and_goes_on_where_it_was(
    parts: Parts,
) -> None:
    await parts.read()
    await parts.prepared()
    await parts.rebuilding.complete(NOBODY_CUT, START)
    begun, writing = asyncio.Event(), asyncio.Event()

    async def slow(_: Mapping[str, Mapping[Place, int]]) -> bool:
        begun.set()
        await writing.wait()
        await asyncio.sleep(0.05)  # so that the write below has reached the lock
        assert not written.done()
        return True

    async def write() -> bool:
        await begun.wait()
        writing.set()
        moves = [Move(LOW, END, END + 1)]
        return await parts.live.write("history", moves, Batch([queued(7, END)]))

    written = asyncio.create_task(write())
    assert await parts.rebuilding.replace(slow)
    assert await written
    assert await parts.jobs(7) == [1]


async def test_nothing_tells_a_rebuilt_table_from_one_that_was_migrated(database: str) -> None:
    described = """
        SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'jobs'
        UNION ALL SELECT 'column', table_name, column_name,
            concat_ws(' ', ordinal_position, data_type, is_nullable, column_default,
                col_description(('jobs.' || table_name)::regclass, ordinal_position))
        FROM information_schema.columns WHERE table_schema = 'jobs'
        UNION ALL SELECT 'constraint', conrelid::regclass::text, conname,
            pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'jobs'::regnamespace
        UNION ALL SELECT 'table', relname, array_to_string(reloptions, ' '), obj_description(oid)
        FROM pg_class WHERE relnamespace = 'jobs'::regnamespace AND relkind = 'r'
        ORDER BY 1, 2, 3
    """
    async with Pool(database, 4, settings=SERVICE) as pool, Pool(database, 1) as patient:
        rebuilding = PostgresRebuilding(pool, patient, TOPICS)
        async with pool.connection() as connection:
            before = await connection.fetch(described)
        await rebuilding.prepare()
        await rebuilding.complete(NOBODY_CUT, START)
        assert await rebuilding.replace(passed)
        async with pool.connection() as connection:
            assert await connection.fetch(described) == before
            schemas = await connection.fetch("SELECT nspname FROM pg_namespace")
        assert "jobs_rebuild" not in {row["nspname"] for row in schemas}
