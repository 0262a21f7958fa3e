"""Do memory and PostgreSQL keep the rows and the checkpoints of projections alike?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg
import pytest

from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.selection import Selection
from processor.ports.log import Place
from processor.ports.projection import (
    AsideRow,
    Batch,
    Closing,
    HistoryRow,
    HistoryRows,
    LetterGroup,
    LetterQuery,
    LetterRow,
    LetterRows,
    LiveRow,
    Move,
    Projections,
)

HIGH, EVENTS = Place("jobs.high", 3), Place("jobs.events", 3)
NOW = 1_700_000_000_123_456
JOB = JobId(UUID(int=7))
ROW = HistoryRow(JOB.bytes, 1, 0, -3, 3, 40, NOW, None, b"submitted")
END = HistoryRow(JOB.bytes, 1, 1, 2, 3, 9, NOW, NOW + 5, b"ended")
LIVE = LiveRow(JOB.bytes, 1, 1, NOW, b"runs")
ASIDE = AsideRow("jobs.high", 3, 41, NOW, b"\x00what")


class AllRows(Projections, HistoryRows, Protocol):
    """What one store answers to."""


@dataclass
class Tables:
    rows: AllRows
    letters: LetterRows


@pytest.fixture(params=["memory", "postgres"])
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[Tables]:
    if request.param == "memory":
        memory = MemoryProjections()
        yield Tables(memory, memory)
        return
    url = await asyncio.to_thread(request.getfixturevalue, "database")
    async with Pool(url, 4) as pool:
        yield Tables(PostgresProjections(pool), PostgresLetters(pool))


async def test_a_checkpoint_begins_where_told_and_only_once(tables: Tables) -> None:
    assert await tables.rows.begin("history", {HIGH: 5, EVENTS: 6}) == {HIGH: 5, EVENTS: 6}
    assert await tables.rows.begin("history", {EVENTS: 9, HIGH: 9}) == {EVENTS: 6, HIGH: 5}
    assert await tables.rows.begin("letters", {HIGH: 1}) == {HIGH: 1}
    assert await tables.rows.checkpoint("history", HIGH) == 5
    assert await tables.rows.checkpoint("history", Place("jobs.low", 0)) is None


async def test_a_batch_advances_its_checkpoints_and_keeps_its_rows_whole(tables: Tables) -> None:
    await tables.rows.begin("history", {HIGH: 40, EVENTS: 9})
    moves = [Move(HIGH, 40, 41), Move(EVENTS, 9, 11)]
    assert await tables.rows.write("history", moves, Batch([ROW, END], [LIVE], [], [ASIDE]))
    assert await tables.rows.checkpoint("history", HIGH) == 41
    assert await tables.rows.checkpoint("history", EVENTS) == 11
    found = await tables.rows.of(JOB)
    assert sorted(found.history, key=lambda row: row.upto) == [ROW, END]
    assert [*found.live] == [LIVE]
    assert await tables.rows.kept_aside(["jobs.high"], None) == [ASIDE]


async def test_a_batch_written_twice_is_there_once(tables: Tables) -> None:
    await tables.rows.begin("history", {HIGH: 40})
    batch = Batch([ROW, ROW, END], [LIVE], [], [ASIDE])
    assert await tables.rows.write("history", [Move(HIGH, 40, 41)], batch)
    again = Batch([ROW._replace(offset=50, body=b"copy"), END], [LIVE], [], [ASIDE])
    assert await tables.rows.write("history", [Move(HIGH, 41, 42)], again)
    found = await tables.rows.of(JOB)
    assert sorted(found.history, key=lambda row: row.upto) == [ROW, END]
    assert await tables.rows.kept_aside(["jobs.high"], None) == [ASIDE]


@pytest.mark.parametrize("rows", [3, 2_000])
async def test_a_batch_of_any_size_is_written_once(tables: Tables, rows: int) -> None:
    jobs = [JobId(UUID(int=number)) for number in range(rows)]
    batch = Batch([*(ROW._replace(job=one.bytes) for one in jobs), ROW, END])
    for _ in range(2):
        assert await tables.rows.write("history", [], batch)
    for one in (jobs[0], jobs[-1]):
        found = await tables.rows.of(one)
        assert [*found.history] == [ROW._replace(job=one.bytes)]
    found = await tables.rows.of(JOB)
    assert sorted(found.history, key=lambda row: row.upto) == [ROW, END]


@pytest.mark.parametrize("before", [39, 41])
async def test_a_refused_advance_writes_nothing_at_all(tables: Tables, before: int) -> None:
    await tables.rows.begin("history", {HIGH: 40, EVENTS: 9})
    letter = LetterRow(JOB.bytes, 1, dead_letter_id(JOB, 1), closed=Closing.REPLAYED)
    moves = [Move(EVENTS, 9, 10), Move(HIGH, before, 42)]
    batch = Batch([ROW], [LIVE], [letter], [ASIDE])
    assert not await tables.rows.write("history", moves, batch)
    assert await tables.rows.begin("history", {HIGH: 0, EVENTS: 0}) == {HIGH: 40, EVENTS: 9}
    assert await tables.rows.of(JOB) == ([], [])
    assert await tables.letters.by_id(letter.id) is None
    assert await tables.rows.kept_aside(["jobs.high"], None) == []


async def test_an_advance_of_a_checkpoint_that_nobody_began_is_refused(tables: Tables) -> None:
    assert not await tables.rows.write("history", [Move(HIGH, 0, 1)], Batch([ROW]))
    assert await tables.rows.of(JOB) == ([], [])


async def test_of_two_projectors_at_once_one_advances(tables: Tables) -> None:
    await tables.rows.begin("history", {HIGH: 0, EVENTS: 0})
    moves = [Move(HIGH, 0, 10), Move(EVENTS, 0, 10)]
    answers = await asyncio.gather(
        *(tables.rows.write("history", [*reversed(moves)], Batch([ROW])) for _ in range(2)),
        *(tables.rows.write("history", moves, Batch([ROW])) for _ in range(2)),
    )
    assert sorted(answers) == [False, False, False, True]


async def test_of_what_a_running_job_tells_the_newest_stays(tables: Tables) -> None:
    newest = LIVE._replace(generation=2, run=1, at=NOW - 9, body=b"next")
    older = [
        LIVE,
        LIVE._replace(generation=1, run=2, at=NOW),
        LIVE._replace(generation=2, run=1, at=NOW - 10),
    ]
    assert await tables.rows.write("history", [], Batch(live=[older[0], newest, older[1]]))
    assert await tables.rows.write("history", [], Batch(live=older))
    assert [*(await tables.rows.of(JOB)).live] == [newest]


async def test_what_was_kept_aside_is_read_in_order_and_leaves_when_recovered(
    tables: Tables,
) -> None:
    kept = [ASIDE._replace(offset=number) for number in (3, 1, 2)]
    other = ASIDE._replace(topic="jobs.events")
    await tables.rows.write("history", [], Batch(aside=[*kept, other]))
    ordered = sorted(kept)
    assert await tables.rows.kept_aside(["jobs.high"], None) == ordered
    assert await tables.rows.kept_aside(["jobs.high"], ordered[1]) == ordered[2:]
    assert await tables.rows.kept_aside(["jobs.high", "jobs.events"], None) == [other, *ordered]
    await tables.rows.write("history", [], Batch([ROW], recovered=[kept[0]]))
    assert await tables.rows.kept_aside(["jobs.high"], None) == ordered[:2]
    assert [*(await tables.rows.of(JOB)).history] == [ROW]


def death(number: int, type_: str = "flight.landed", place: str = "app:landed:12") -> LetterRow:
    job = JobId(UUID(int=number))
    return LetterRow(
        job.bytes,
        1,
        dead_letter_id(job, 1),
        NOW + number,
        None,
        "acme",
        type_,
        place,
        b"died",
    )


def closing(of: LetterRow, closed: Closing) -> LetterRow:
    return LetterRow(of.job, of.generation, of.id, closed=closed)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2, 0, 1], [1, 2, 0]])
async def test_a_letter_is_the_same_in_whatever_order_its_facts_come(
    tables: Tables, order: list[int]
) -> None:
    letter = death(1)
    facts = [letter, closing(letter, Closing.DISCARDED), closing(letter, Closing.REPLAYED)]
    for number in order:
        await tables.rows.write("letters", [], Batch(letters=[facts[number]]))
    assert await tables.letters.by_id(letter.id) == letter._replace(closed=Closing.REPLAYED)
    assert await tables.letters.chosen(LetterQuery()) == []


async def test_many_rows_at_once_are_there_once_also_where_some_were_already(
    tables: Tables,
) -> None:
    rows = [of_job(ROW, number) for number in range(1_600)]
    positions = [*range(0, 1_600, 100)]
    for first in (0, 500, 0, 600):
        assert await tables.rows.write("history", [], Batch(history=rows[first : first + 1_000]))
    for number in positions:
        found = await tables.rows.of(JobId(UUID(int=number)))
        assert found.history == [rows[number]]


def of_job(row: HistoryRow, number: int) -> HistoryRow:
    return row._replace(job=UUID(int=number).bytes)


async def test_a_late_copy_of_a_death_opens_no_closed_letter(tables: Tables) -> None:
    letter = death(1)
    discard = closing(letter, Closing.DISCARDED)
    for fact in (letter, discard, letter, discard):
        await tables.rows.write("letters", [], Batch(letters=[fact]))
    assert await tables.letters.by_id(letter.id) == letter._replace(closed=Closing.DISCARDED)
    assert await tables.letters.groups() == []


async def test_a_letter_whose_death_is_not_known_is_not_open(tables: Tables) -> None:
    letter = death(1)
    await tables.rows.write("letters", [], Batch(letters=[closing(letter, Closing.REPLAYED)]))
    found = await tables.letters.by_id(letter.id)
    assert found is not None
    assert (found.body, found.closed) == (None, Closing.REPLAYED)
    assert await tables.letters.chosen(LetterQuery()) == []
    assert await tables.letters.size() == (0, 0)


async def test_open_letters_are_listed_in_the_order_of_death_by_the_page(
    tables: Tables,
) -> None:
    letters = [death(number) for number in range(5)]
    other = death(9, "flight.left")._replace(tenant=None)
    batch = Batch(letters=[*reversed(letters), other, closing(letters[1], Closing.DISCARDED)])
    await tables.rows.write("letters", [], batch)
    del letters[1]
    page = await tables.letters.chosen(LetterQuery(limit=3))
    assert page == letters[:3]
    rest = await tables.letters.chosen(LetterQuery(after=page[-1], limit=3))
    assert rest == [letters[3], other]
    landed = LetterQuery(Selection(type="flight.landed", place="app:landed:12", tenant="acme"))
    assert await tables.letters.chosen(landed) == letters
    assert await tables.letters.size() == (5, 5)
    assert await tables.letters.chosen(LetterQuery(Selection(type="flight.left"))) == [other]
    assert await tables.letters.chosen(LetterQuery(Selection(place="elsewhere"))) == []
    assert await tables.letters.by_id(UUID(int=1)) is None


async def test_letters_are_grouped_by_type_and_place_the_largest_first(tables: Tables) -> None:
    letters = [death(1, "b"), death(2, "a"), death(3, "a", "x"), death(4, "a", "x")]
    await tables.rows.write("letters", [], Batch(letters=letters))
    assert await tables.letters.groups() == [
        LetterGroup("a", "x", 2, NOW + 3, NOW + 4, "", ("acme",), 1),
        LetterGroup("a", "app:landed:12", 1, NOW + 2, NOW + 2, "", ("acme",), 1),
        LetterGroup("b", "app:landed:12", 1, NOW + 1, NOW + 1, "", ("acme",), 1),
    ]


async def test_groups_tell_releases_tenants_and_which_letters_were_overtaken(
    tables: Tables,
) -> None:
    letters = [
        death(number)._replace(
            release=f"r{number % 2}", tenant=f"t{number:02}", entity_key=number // 2, lane=2
        )
        for number in range(30)
    ]
    await tables.rows.write("letters", [], Batch(letters=letters))
    batch = Batch(
        died=[(3, NOW + 7), (3, NOW + 6), (4, NOW + 8), (5, NOW + 11)],
        completed=[(b"any", 0)],
        passed=lambda _: [(3, NOW + 7), (4, NOW + 9), (5, NOW + 40), (6, NOW + 50)],
    )
    await tables.rows.write("history", [], batch)
    even, odd = await tables.letters.groups()
    assert (even.release, even.letters, even.tenant_count) == ("r0", 15, 15)
    assert even.tenants == tuple(f"t{number:02}" for number in range(0, 20, 2))
    assert (even.overtaken, odd.overtaken) == (2, 1)  # those of entities 4 and 5
    overtaken = Selection(overtaken=True)
    found = await tables.letters.chosen(LetterQuery(overtaken))
    assert found == [letters[8], letters[10], letters[11]]
    assert await tables.letters.size(overtaken) == (3, 2)
    assert await tables.letters.size(Selection(overtaken=False)) == (27, 14)
    (group,) = await tables.letters.groups(Selection(release="r1", died_after=NOW + 20))
    assert (group.letters, group.first_at) == (5, NOW + 21)


async def test_a_selection_chooses_by_id_by_time_and_among_the_discarded(tables: Tables) -> None:
    letters = [death(number) for number in range(6)]
    discarded = closing(letters[5], Closing.DISCARDED)
    await tables.rows.write("letters", [], Batch(letters=[*letters, discarded]))

    async def numbers(selection: Selection) -> list[int]:
        found = await tables.letters.chosen(LetterQuery(selection))
        return [(row.died_at or 0) - NOW for row in found]

    assert await numbers(Selection(ids=(letters[3].id, letters[1].id, letters[5].id))) == [1, 3]
    assert await numbers(Selection(died_after=NOW + 2, died_before=NOW + 4)) == [2, 3]
    assert await numbers(Selection(discarded=True)) == [5]
    assert await numbers(Selection(discarded=True, type="other")) == []


async def test_a_zero_byte_in_a_name_holds_nothing_up(tables: Tables) -> None:
    letter = death(1, "flight\0landed", "\0")._replace(tenant="\0")
    assert await tables.rows.write("letters", [], Batch(letters=[letter]))
    found = await tables.letters.by_id(letter.id)
    assert found is not None
    assert found.body == b"died"


async def test_a_write_that_breaks_off_leaves_checkpoint_and_rows_as_they_were(
    database: str,
) -> None:
    impossible = death(1)._replace(generation=40_000)  # written after the rows, and refused
    async with Pool(database, 2) as pool:
        rows = PostgresProjections(pool)
        await rows.begin("history", {HIGH: 40})
        with pytest.raises(asyncpg.DataError):
            await rows.write("history", [Move(HIGH, 40, 41)], Batch([ROW], letters=[impossible]))
        assert await rows.checkpoint("history", HIGH) == 40
        assert await rows.of(JOB) == ([], [])
        assert await rows.write("history", [Move(HIGH, 40, 41)], Batch([ROW]))
