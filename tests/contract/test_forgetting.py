"""Do memory and PostgreSQL forget alike?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import pytest

from processor.adapters.memory.clock import START, ManualClock
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.forgetting import (
    MemoryForgetting,
    MemoryOffice,
    MemoryPruning,
    Offices,
)
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.rows import Wait
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.office import PostgresOffice
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.pruning import PostgresPruning
from processor.domain.horizon import DAY
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.priority import Priority
from processor.ports.forgetting import (
    Ended,
    HistoryPruning,
    Horizon,
    LedgerPruning,
    Office,
    ReadSide,
)
from processor.ports.ledger import Entry, Fault
from processor.ports.log import Place
from processor.ports.projection import (
    Batch,
    Closing,
    HistoryRow,
    HistoryRows,
    LetterRow,
    LiveRow,
    Projections,
)
from tests.contract.worlds import (
    PARTITIONS,
    MemoryWorld,
    PostgresWorld,
    World,
    a_job,
    an_entry,
    in_postgres,
    own,
)

HIGH, EVENTS = Place("jobs.high", 3), Place("jobs.events", 0)


class Keeping(Horizon, ReadSide, LedgerPruning, Protocol):
    """What one adapter answers to."""


class Rows(Projections, HistoryRows, Protocol):
    """The rows of the projections."""


@dataclass
class Parts:
    world: World
    forgetting: Keeping
    pruning: HistoryPruning
    rows: Rows

    async def end(self, entry: Entry, at: int) -> None:
        """Write a row of the ledger that ended at a moment."""
        fence = await own(self.world, entry.partition)
        await self.world.ledger.flush([fence], [entry])
        if isinstance(self.world, MemoryWorld):
            self.world.database.ended_at[entry.job, entry.generation] = at
            return
        assert isinstance(self.world, PostgresWorld)
        async with self.world.service.connection() as connection:
            await connection.execute(
                "UPDATE jobs.ledger SET ended_at = timestamptz 'epoch'"
                " + $2::bigint * interval '1 microsecond' WHERE job = $1",
                entry.job,
                at,
            )

    async def stands(self, *jobs: JobId) -> list[bool]:
        known = (await self.world.ledger.look_up([0], jobs, [])).ledger
        return [any(row.job == job for row in known) for job in jobs]


@pytest.fixture(params=["memory", "postgres"])
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    if request.param == "memory":
        database, rows = MemoryDatabase.pinned(PARTITIONS, ManualClock()), MemoryProjections()
        yield Parts(
            MemoryWorld(database),
            MemoryForgetting(database, rows, {}),
            MemoryPruning(rows),
            rows,
        )
        return
    url = await asyncio.to_thread(request.getfixturevalue, "database")
    async with in_postgres(url) as real, Pool(url, 2, settings=SERVICE) as pool:
        yield Parts(
            real, PostgresForgetting(pool), PostgresPruning(pool), PostgresProjections(pool)
        )


async def test_what_stood_first_on_a_day_stays(parts: Parts) -> None:
    await parts.forgetting.remember(20_000, {HIGH: 5, EVENTS: 6})
    await parts.forgetting.remember(20_000, {HIGH: 9})
    await parts.forgetting.remember(20_001, {HIGH: 9})
    assert await parts.forgetting.days() == {
        HIGH: {20_000: 5, 20_001: 9},
        EVENTS: {20_000: 6},
    }


async def test_the_days_before_one_are_dropped_place_by_place(parts: Parts) -> None:
    for day in range(20_000, 20_004):
        await parts.forgetting.remember(day, {HIGH: day, EVENTS: day})
    await parts.forgetting.forget({HIGH: 20_002})
    days = await parts.forgetting.days()
    assert [*sorted(days[HIGH])] == [20_002, 20_003]
    assert len(days[EVENTS]) == 4


async def test_the_checkpoints_are_told_by_place_and_projection(parts: Parts) -> None:
    await parts.rows.begin("history", {HIGH: 5, EVENTS: 6})
    await parts.rows.begin("rebuild:history", {HIGH: 2})
    assert await parts.forgetting.checkpoints() == {
        HIGH: {"history": 5, "rebuild:history": 2},
        EVENTS: {"history": 6},
    }


def letter(number: int, fact: int, closed: Closing | None = None, partition: int = 1) -> LetterRow:
    job = JobId(UUID(int=number))
    return LetterRow(
        job.bytes,
        1,
        dead_letter_id(job, 1),
        START,
        closed,
        "t",
        "type",
        "place",
        b"died",
        partition,
        fact,
        fact + 1,
    )


async def test_the_oldest_open_letter_of_a_partition_is_told_by_its_first_fact(
    parts: Parts,
) -> None:
    assert await parts.forgetting.open_letters() == {}
    letters = [letter(1, 30), letter(2, 20), letter(3, 10, Closing.REPLAYED), letter(4, 5, None, 2)]
    await parts.rows.write("dead-letters", [], Batch(letters=letters))
    assert await parts.forgetting.open_letters() == {1: 20, 2: 5}


async def test_a_closed_letter_goes_when_its_last_fact_is_cut_and_an_open_one_never(
    parts: Parts,
) -> None:
    letters = [letter(1, 5), letter(2, 5, Closing.DISCARDED), letter(3, 6, Closing.REPLAYED)]
    await parts.rows.write("dead-letters", [], Batch(letters=letters))
    assert await parts.pruning.forget_letters({0: 100, 1: 6}, 10) == 0
    assert await parts.pruning.forget_letters({0: 100, 1: 7}, 10) == 1  # the last fact is 6
    assert await parts.pruning.forget_letters({1: 100}, 10) == 1
    assert await parts.forgetting.open_letters() == {1: 5}


async def test_rows_that_ended_before_their_partitions_moment_go_in_batches(parts: Parts) -> None:
    old, late, other = [a_job() for _ in range(5)], a_job(), a_job()
    for job in old:
        await parts.end(an_entry(job), START - 10)
    await parts.end(an_entry(late), START)
    await parts.end(an_entry(other, partition=1), START - 10)
    before = {0: START, 1: START - 10}
    assert [gone async for gone in parts.forgetting.prune(before, 3)] == [3, 2]
    assert [gone async for gone in parts.forgetting.prune(before, 3)] == []
    assert await parts.stands(*old, late, other) == [False] * 5 + [True, True]
    assert [gone async for gone in parts.forgetting.prune({}, 3)] == []


async def test_a_job_that_waits_keeps_its_rows_in_the_ledger(parts: Parts) -> None:
    job = a_job()
    fence = await own(parts.world)
    # Dead and blocking: the row waits for its operator, the first generation is in the ledger.
    answer = await parts.world.record(
        fence, 7, an_entry(job, b"died"), died=True, wait=Wait("b", holds=True)
    )
    assert answer.name == "DONE"
    far = {0: START + 100 * 365 * DAY}
    assert [gone async for gone in parts.forgetting.prune(far, 10)] == []
    assert await parts.stands(job) == [True]


BEFORE = START


def row(
    number: int,
    ended_at: int | None = None,
    *,
    generation: int = 1,
    timeline: int = 1,
    upto: int = 2,
) -> HistoryRow:
    job = JobId(UUID(int=number)).bytes
    return HistoryRow(job, generation, timeline, upto, 0, number, START, ended_at, b"body")


def queued(number: int, generation: int = 1) -> HistoryRow:
    return row(number, generation=generation, timeline=0, upto=int(Priority.LOW) - 4)


async def forgotten(parts: Parts, *rows: HistoryRow, letters: tuple[LetterRow, ...] = ()) -> bool:
    """Whether the one job that these rows tell of goes, whole."""
    await parts.rows.write("history", [], Batch(history=[*rows], letters=[*letters]))
    gone = await parts.pruning.forget([rows[0].job], BEFORE)
    left = len((await parts.rows.of(JobId(UUID(bytes=rows[0].job)))).history)
    assert gone + left == len(rows)
    assert gone in {0, len(rows)}
    return gone > 0


async def test_a_job_that_ended_before_goes_whole(parts: Parts) -> None:
    assert await forgotten(parts, queued(1), row(1, upto=1), row(1, BEFORE - 1))
    assert not await forgotten(parts, queued(2), row(2, BEFORE))


async def test_a_job_that_has_not_ended_stays(parts: Parts) -> None:
    assert not await forgotten(parts, queued(1))
    assert not await forgotten(parts, queued(2), row(2))


async def test_a_later_generation_keeps_the_job_until_it_has_ended_as_long_ago(
    parts: Parts,
) -> None:
    first = queued(1), row(1, BEFORE - 9)
    assert not await forgotten(parts, *first, queued(1, 2))
    assert not await forgotten(
        parts, *(one._replace(job=b"2" * 16) for one in (*first, row(1, BEFORE, generation=2)))
    )
    assert await forgotten(
        parts, *(one._replace(job=b"3" * 16) for one in (*first, row(1, BEFORE - 1, generation=2)))
    )


async def test_an_end_that_a_failover_undid_does_not_count(parts: Parts) -> None:
    undone = row(1, BEFORE - 9, timeline=1)
    assert not await forgotten(parts, queued(1), undone, row(1, timeline=2, upto=1))
    ended = row(2, BEFORE - 9, timeline=1), row(2, BEFORE - 5, timeline=2)
    assert await forgotten(parts, queued(2), *ended)


async def test_an_open_letter_keeps_its_jobs_history(parts: Parts) -> None:
    assert not await forgotten(parts, queued(1), row(1, BEFORE - 9), letters=(letter(1, 5),))


async def test_a_closed_letter_keeps_it_until_the_next_generation_is_known(parts: Parts) -> None:
    closed = letter(1, 5, Closing.REPLAYED)
    assert not await forgotten(parts, queued(1), row(1, BEFORE - 9), letters=(closed,))
    await parts.rows.write("history", [], Batch([row(1, BEFORE - 8, generation=2)]))
    assert await parts.pruning.forget([closed.job], BEFORE) == 3


async def test_ends_are_listed_in_order_by_the_page(parts: Parts) -> None:
    rows = [row(number, BEFORE - number // 2 - 1) for number in range(1, 8)]
    await parts.rows.write("history", [], Batch([*rows, row(9, BEFORE), queued(3)]))
    expected = sorted(Ended(one.ended_at or 0, one.job) for one in rows)
    page = await parts.pruning.ended(BEFORE, None, 4)
    assert page == expected[:4]
    assert await parts.pruning.ended(BEFORE, page[-1], 4) == expected[4:]
    assert await parts.pruning.ended(BEFORE, expected[-1], 4) == []


async def test_live_rows_of_ended_and_of_unknown_jobs_go(parts: Parts) -> None:
    def live(number: int, at: int, generation: int = 1) -> LiveRow:
        return LiveRow(JobId(UUID(int=number)).bytes, generation, 1, at, b"runs")

    await parts.rows.write(
        "history",
        [],
        Batch(
            [row(1, BEFORE - 5), queued(2), row(3, BEFORE - 5), row(4, BEFORE - 5)],
            [
                live(1, BEFORE - 6),  # ended
                live(2, BEFORE - 6),  # runs
                live(3, BEFORE - 4),  # runs again after a failover
                live(4, BEFORE - 6, 2),  # the next generation runs
                live(5, BEFORE - 1),  # unknown, and old
                live(6, BEFORE),  # unknown, and new
            ],
        ),
    )
    last, looked = None, 0
    while (last := await parts.pruning.forget_live(BEFORE, last, 4)) is not None:
        looked += 1
    assert looked == 2
    left = [number for number in range(1, 7) if (await parts.rows.of(JobId(UUID(int=number)))).live]
    assert left == [2, 3, 4, 6]


@dataclass
class Candidates:
    one: Office
    other: Office
    elsewhere: Office


@pytest.fixture(params=["memory", "postgres"])
async def candidates(request: pytest.FixtureRequest) -> AsyncIterator[Candidates]:
    if request.param == "memory":
        offices = Offices()
        yield Candidates(*(MemoryOffice(offices, name) for name in ("a", "a", "b")))
        return
    url = await asyncio.to_thread(request.getfixturevalue, "database")
    async with Pool(url, 3) as pool:
        yield Candidates(*(PostgresOffice(pool, name) for name in ("a", "a", "b")))


async def test_an_office_has_one_holder_until_he_leaves(candidates: Candidates) -> None:
    assert [await candidates.one.held() for _ in range(3)] == [True] * 3
    assert not await candidates.other.held()
    assert await candidates.elsewhere.held()
    candidates.one.leave()
    candidates.one.leave()
    for _ in range(200):  # a session ends a moment after its connection
        if await candidates.other.held():
            break
        await asyncio.sleep(0.01)
    assert await candidates.other.held()
    assert not await candidates.one.held()


async def test_an_office_is_lost_with_its_connection(database: str) -> None:
    async with Pool(database, 3) as pool, Pool(database, 2) as another:
        office = PostgresOffice(pool, "janitor")
        assert await office.held()
        async with another.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        usurper = PostgresOffice(another, "janitor")
        for _ in range(200):
            if await usurper.held():
                break
            await asyncio.sleep(0.01)
        assert await usurper.held()
        with pytest.raises(Fault):
            await office.held()
        assert not await office.held()
