"""Is anything skipped, or done twice, when the database forgets commits under running workers?

The positions go back together with the ledger; the workers notice, drop all that they know and take
over anew. And a database that forgot nothing is never taken for another one.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from processor.adapters.clock import SystemClock
from processor.adapters.postgres.lineage import Lineage
from processor.adapters.postgres.migrations import migrate
from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.workers import PostgresWorkers
from processor.chaos.database import Database, a_database
from processor.local.stack import LocalStack, Stack
from processor.runtime.books import until_answered
from tests.commands import Commands, variables_of
from tests.separate import Process, Separately, separately
from tests.violations import AFTER_A_LOSS, Check, broken_histories

pytestmark = pytest.mark.timeout(300)

SESSION_SECONDS = "3"
NOTICED = "the database is another one than before"
ENDS = "SELECT job, body FROM jobs.ledger"
BEATS = "SELECT id, beat FROM jobs.worker"
LOST = 100
"""So many jobs at least end after the standby was cut off, or the copy was taken."""


@asynccontextmanager
async def line_of(
    local_stack: LocalStack, database: Database, folder: Path
) -> AsyncIterator[Separately]:
    stack = Stack(database.folder, local_stack.stack.kafka, database.url)
    variables = variables_of(stack, database.url, f"test-{secrets.token_hex(5)}", 4)
    variables["JOBS_SESSION_TIMEOUT"] = SESSION_SECONDS
    async with separately(Commands(variables, folder), stack.kafka, database.url) as line:
        line.start("projector")
        yield line


async def ends(line: Separately) -> dict[UUID, bytes]:
    return {row["job"]: row["body"] for row in await line.fetch(ENDS)}


async def have_beaten(line: Separately, times: int) -> None:
    """Return when every worker has beaten so often since: what it saw by then it will miss."""
    before = {row["id"]: row["beat"] for row in await line.fetch(BEATS)}

    async def beaten() -> bool:
        now = {row["id"]: row["beat"] for row in await line.fetch(BEATS)}
        return all(now[worker] >= beat + times for worker, beat in before.items())

    await line.until(beaten, f"every worker has beaten {times} times")


async def check(
    line: Separately,
    workers: Sequence[Process],
    before: Mapping[UUID, bytes],
    checks: Collection[Check],
) -> None:
    """Everything once and in order, although some of it had to be done again."""
    await line.ended(checks)
    after = await ends(line)
    assert before.keys() <= after.keys()
    assert any(after[job] != body for job, body in before.items()), "nothing was forgotten"
    assert [NOTICED in worker.said() for worker in workers] == [True, True]


@pytest.mark.long
async def test_what_a_lagging_standby_never_heard_of_is_done_again(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    async with a_database() as database, line_of(local_stack, database, tmp_path) as line:
        workers = (line.worker(), line.worker())
        async with database.standby() as standby, line.fed():
            await line.has_worked(*workers)
            await standby.cut_off()
            await line.has_worked(*workers)
            await line.has_settled(LOST)
            before = await ends(line)
            await standby.take_over()
            await line.has_worked(*workers)
            await line.look()
        await check(line, workers, before, AFTER_A_LOSS)


@pytest.mark.long
async def test_what_came_after_a_copy_that_was_restored_is_done_again(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    async with a_database() as database, line_of(local_stack, database, tmp_path) as line:
        workers = (line.worker(), line.worker())
        async with line.fed():
            await line.has_worked(*workers)
            copy = await database.copied()
            await line.has_worked(*workers)
            await have_beaten(line, 2)
            await line.has_settled(LOST)
            before = await ends(line)
            await database.serve_from(copy)
            await line.has_worked(*workers)
            await line.look()
        # The copy knows no other timeline: what it forgot has the places of what came instead.
        checks = [one for one in AFTER_A_LOSS if one is not broken_histories]
        await check(line, workers, before, checks)


async def write(pool: Pool, number: int) -> None:
    async with pool.connection() as connection:
        await connection.execute(f"CREATE TABLE IF NOT EXISTS table_{number} AS SELECT 1")


async def test_a_promoted_standby_is_another_database_for_all_pools_at_once() -> None:
    lineage, told = Lineage(), []
    async with (
        a_database() as database,
        Pool(database.url, 1, lineage=lineage) as pool,
        Pool(database.url, 1, lineage=lineage) as other,
        database.standby() as standby,
    ):
        lineage.on_change(lambda: told.append(lineage.era))
        await standby.take_over()
        for one in (other, pool, other):
            await until_answered(SystemClock(), partial(write, one, 0))
        assert (lineage.timeline, lineage.era, told) == (2, 1, [1])


async def test_a_copy_that_is_restored_is_known_by_what_was_heard_since() -> None:
    async with a_database() as database, Pool(database.url, 1) as pool:
        await migrate(database.url)
        copy, workers, worker = await database.copied(), PostgresWorkers(pool), uuid4()
        await until_answered(SystemClock(), lambda: workers.join(worker, "", ()))
        for number in range(20):
            await write(pool, number)
        await workers.beat(worker)
        await database.serve_from(copy)
        assert await until_answered(SystemClock(), lambda: workers.beat(worker)) == {}
        assert (pool.lineage.timeline, pool.lineage.era) == (1, 1)


async def test_a_database_that_was_only_restarted_is_no_other_one() -> None:
    async with a_database() as database, Pool(database.url, 1) as pool:
        for number, again in enumerate((database.restart, database.restart, database.crash)):
            await until_answered(SystemClock(), partial(write, pool, number))
            await again()
        await until_answered(SystemClock(), partial(write, pool, 0))
        assert (pool.lineage.era, pool.lineage.timeline) == (0, 1)
