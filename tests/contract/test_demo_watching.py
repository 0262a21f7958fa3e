"""Is how far a run is told rightly, without counting everything each time?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from processor.demo.watching import FRESH_PAGES, PAGES, Watch
from processor.domain.priority import LANES

JOURNAL = "demo.events"

# Some four rows a page, so that few rows make many pages.
END_JOBS = """
INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)
SELECT gen_random_uuid(), 1, CASE WHEN n % 50 = 0 THEN 'f' ELSE 'c' END, 0, n % 4, n,
    convert_to(repeat(md5(random()::text), 60), 'UTF8')
FROM generate_series(1, $1) n
"""


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def test_a_run_that_has_not_begun_stands_at_nothing(
    connection: asyncpg.Connection[Any],
) -> None:
    standing = await Watch(connection, JOURNAL).standing(0)
    assert (standing.all_done, standing.all_settled) == (0, 0)
    assert (standing.dead_letters, standing.projected) == (0, 0)


async def test_settled_jobs_are_counted_once_however_often_one_looks(
    connection: asyncpg.Connection[Any],
) -> None:
    watch = Watch(connection, JOURNAL)
    for rows in range(400, 2_001, 400):
        await connection.execute(END_JOBS, 400)
        standing = await watch.standing(1)
        assert standing.settled == dict.fromkeys(LANES, rows // 4)
    assert await connection.fetchval(PAGES) > 3 * FRESH_PAGES
    assert await watch.failed() == 2_000 // 50


async def test_what_the_positions_have_passed_is_settled_whatever_was_counted(
    connection: asyncpg.Connection[Any],
) -> None:
    await connection.execute(
        "INSERT INTO jobs.ownership (partition, critical, low) VALUES (0, 3, 0), (1, 4, 5)"
        " ON CONFLICT (partition) DO UPDATE SET critical = excluded.critical, low = excluded.low"
    )
    standing = await Watch(connection, JOURNAL).standing(1)
    assert tuple(standing.done.values()) == (7, 0, 0, 5)
    assert standing.settled == standing.done


async def test_what_the_history_has_read_of_the_journal_is_told(
    connection: asyncpg.Connection[Any],
) -> None:
    await connection.execute(
        "INSERT INTO jobs.checkpoint VALUES ('history', $1, 0, 3), ('history', $1, 1, 4),"
        " ('history', 'demo.low', 0, 100), ('other', $1, 0, 100)",
        JOURNAL,
    )
    assert (await Watch(connection, JOURNAL).standing(1)).projected == 7
