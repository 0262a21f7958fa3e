"""What can a job, a network or a server do to the transaction of its group in PostgreSQL?"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from processor.adapters.postgres.shared_transactions import PostgresSharedTransaction
from processor.domain.errors import TransactionMisused
from processor.domain.ids import JobId
from processor.ports.ledger import Answer, Conflict, Fault
from processor.ports.shared_transactions import SharedTransaction
from tests.contract.test_postgres_transactions import (
    Effect,
    active,
    end_backend,
    single,
    sound,
)
from tests.contract.test_shared_transactions import some, write
from tests.contract.worlds import PostgresWorld, a_group, an_entry, begun

__all__ = ["single"]


def raw(group: SharedTransaction) -> Any:  # noqa: ANN401 - asyncpg's own
    """The connection itself: no look at the text may be the only guard."""
    assert isinstance(group, PostgresSharedTransaction)
    link = group._link  # noqa: SLF001 - what a handler cannot reach
    assert link is not None
    return link.raw


async def process_of(group: SharedTransaction) -> int:
    found: int = await raw(group).fetchval("SELECT pg_backend_pid()")
    return found


async def kept_and_complete(group: SharedTransaction, job: JobId) -> None:
    await group.keep()
    await group.complete([an_entry(job)])


async def test_a_swallowed_sql_error_is_its_jobs_failure_and_no_others(
    single: PostgresWorld,
) -> None:
    jobs, claims = some(3)
    group = await a_group(single, *claims)
    await write(single, group, "first")
    share = group.share()
    with pytest.raises(asyncpg.UndefinedTableError):
        await share.connection().execute("SELECT * FROM nowhere")
    with pytest.raises(TransactionMisused, match="went on after an SQL error"):
        await group.keep()
    assert await group.undo()
    await write(single, group, "third")
    assert await group.complete([an_entry(jobs[0]), an_entry(jobs[2])]) is Answer.DONE
    assert [await single.read(key) for key in ("first", "third")] == [1, 1]
    await sound(single)


@pytest.mark.parametrize("savepoints", [True, False])
async def test_an_sql_error_that_the_last_job_swallowed_shows_at_the_end(
    single: PostgresWorld,
    savepoints: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    jobs, claims = some(2)
    group = await a_group(single, *claims, savepoints=savepoints)
    await write(single, group, "first")
    with pytest.raises(asyncpg.UndefinedTableError):
        await group.share().connection().execute("SELECT * FROM nowhere")
    await group.keep(last=True)
    with pytest.raises(TransactionMisused, match="went on after an SQL error"):
        await group.complete([an_entry(job) for job in jobs])
    assert await single.read("first") is None
    await sound(single)


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL app.tenant = '1'",
        "set\nlocal app.tenant = '1'",
        "/* who */ SET app.tenant = '1'",
        "SELECT 1;\n  RESET ALL",
        "DISCARD ALL",
        "SET CONSTRAINTS ALL DEFERRED",
        "SELECT set_config('app.tenant', '1', true)",
    ],
)
async def test_a_setting_that_would_be_the_next_jobs_too_is_refused(
    single: PostgresWorld,
    statement: str,
) -> None:
    jobs, claims = some(2)
    group = await a_group(single, *claims)
    share = group.share()
    seen = [group.was_unshareable]
    with pytest.raises(TransactionMisused, match="changed a setting"):
        await share.connection().execute(statement)
    seen.append(group.was_unshareable)
    assert seen == [False, True]
    with pytest.raises(TransactionMisused, match="changed a setting"):
        await (await share.session()).execute(text(statement))
    with pytest.raises(TransactionMisused, match="changed a setting"):
        await group.keep()
    assert await group.undo()
    await write(single, group, "second")
    assert await group.complete([an_entry(jobs[1])]) is Answer.DONE
    await sound(single)


async def test_an_update_is_no_setting(single: PostgresWorld) -> None:
    jobs, claims = some(1)
    group = await a_group(single, *claims)
    connection = group.share().connection()
    await connection.execute("INSERT INTO effect VALUES ('a', 1), ('set local', 1)")
    await connection.execute("UPDATE effect SET value = 2 WHERE key = 'a'")
    await connection.execute("UPDATE effect\nSET value = 3\nWHERE key = 'set local'")
    await group.keep(last=True)
    assert await group.complete([an_entry(jobs[0])]) is Answer.DONE
    assert (await single.read("a"), await single.read("set local")) == (2, 3)


async def test_what_a_failed_job_set_is_not_the_next_ones(single: PostgresWorld) -> None:
    _, claims = some(2)
    group = await a_group(single, *claims)
    group.share()
    await raw(group).execute("SET LOCAL search_path = pg_catalog")
    assert await group.undo()
    shown = await group.share().connection().fetchval("SHOW search_path")
    assert shown == '"$user", public'
    await group.rollback()


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"])
async def test_a_job_that_ends_the_groups_transaction_is_found_out(
    single: PostgresWorld,
    statement: str,
) -> None:
    jobs, claims = some(2)
    group = await a_group(single, *claims)
    connection = group.share().connection()
    with pytest.raises(TransactionMisused, match="nothing was sent"):
        await connection.execute(statement)
    assert await group.undo()
    group.share()
    await raw(group).execute(statement)
    with pytest.raises((TransactionMisused, asyncpg.PostgresError)):
        await kept_and_complete(group, jobs[1])
    assert not await group.undo()
    await group.rollback()
    assert await single.ledger.row(jobs[1], 1) is None
    await sound(single)


async def test_a_deferred_constraint_fails_all_and_keeps_nothing(
    single: PostgresWorld,
) -> None:
    jobs, claims = some(2)
    async with single.service.connection() as connection:
        await connection.execute("CREATE TABLE ones (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    group = await a_group(single, *claims)
    await write(single, group, "first")
    await group.share().connection().execute("INSERT INTO ones VALUES (1), (1)")
    await group.keep(last=True)
    with pytest.raises(asyncpg.UniqueViolationError, match="ones_n_key"):
        await group.complete([an_entry(job) for job in jobs])
    assert await single.read("first") is None
    assert await single.ledger.row(jobs[0], 1) is None
    await sound(single)


async def test_what_a_session_holds_is_sent_with_its_own_jobs_turn(
    single: PostgresWorld,
) -> None:
    jobs, claims = some(3)
    group = await a_group(single, *claims)
    (await group.share().session()).add(Effect(key="first", value=1))
    await group.keep()
    session = await group.share().session()
    await session.execute(insert(Effect).values(key="twice", value=1))
    session.add(Effect(key="twice", value=2))
    with pytest.raises(IntegrityError):
        await group.keep()
    assert await group.undo()
    session = await group.share().session()
    async with session.begin_nested():
        session.add(Effect(key="third", value=3))
    await session.commit()
    await group.keep(last=True)
    assert await group.complete([an_entry(jobs[0]), an_entry(jobs[2])]) is Answer.DONE
    kept = [await single.read(key) for key in ("first", "twice", "third")]
    assert kept == [1, None, 3]


async def test_who_waits_too_long_for_anothers_row_meets_a_conflict(real: PostgresWorld) -> None:
    _, claims = some(2)
    change = "INSERT INTO effect VALUES ('shared', 1) ON CONFLICT (key) DO UPDATE SET value = 2"
    first = await a_group(real, claims[0])
    second = await a_group(real, claims[1])
    await first.share().connection().execute(change)
    with pytest.raises(asyncpg.LockNotAvailableError) as raised:
        await second.share().connection().execute(change)
    assert isinstance(second.fault(raised.value), Conflict)
    assert not isinstance(second.fault(ValueError()), Conflict)
    await second.rollback()
    await first.rollback()


async def test_a_query_that_was_broken_off_is_undone_and_the_group_goes_on(
    single: PostgresWorld,
) -> None:
    jobs, claims = some(2)
    group = await a_group(single, *claims)
    process = await process_of(group)
    query = asyncio.create_task(group.share().connection().execute("SELECT pg_sleep(600)"))
    await active(single, process)
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    assert await group.undo()
    await write(single, group, "second")
    assert await group.complete([an_entry(jobs[1])]) is Answer.DONE
    assert await single.read("second") == 1
    await sound(single)


async def test_with_a_query_left_running_there_is_nothing_but_the_roll_back(
    single: PostgresWorld,
) -> None:
    _, claims = some(2)
    group = await a_group(single, *claims)
    process = await process_of(group)
    left = asyncio.create_task(group.share().connection().execute("SELECT pg_sleep(600)"))
    await active(single, process)
    with pytest.raises(TransactionMisused, match="still running"):
        await group.keep()
    assert not await group.undo()
    await group.rollback()
    assert isinstance((await asyncio.gather(left, return_exceptions=True))[0], Exception)
    await sound(single)


async def test_a_lost_connection_is_a_fault(single: PostgresWorld) -> None:
    jobs, claims = some(2)
    group = await a_group(single, *claims)
    await write(single, group, "first")
    share = group.share()
    await end_backend(single, await process_of(group))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as raised:
        await share.connection().execute("SELECT 1")
    assert isinstance(group.fault(raised.value), Fault)
    assert not await group.undo()
    with pytest.raises(Fault):
        await group.complete([an_entry(job) for job in jobs])
    assert await single.read("first") is None
    await sound(single)


async def test_prepared_statements_that_a_job_dropped_are_missed_and_made_again(
    single: PostgresWorld,
) -> None:
    jobs, claims = some(1)
    group = await a_group(single, *claims)
    await group.share().connection().execute("DEALLOCATE ALL")
    await group.keep(last=True)
    with pytest.raises(TransactionMisused, match="prepared statements"):
        await group.complete([an_entry(jobs[0])])
    await sound(single)


async def test_a_begin_that_is_cancelled_leaves_the_pool_sound(
    single: PostgresWorld,
) -> None:
    for steps in range(1, 12):
        _, claims = some(2)
        begin = asyncio.create_task(single.shared.begin(claims, savepoints=True))
        for _ in range(steps):
            await asyncio.sleep(0)
        begin.cancel()
        done = (await asyncio.gather(begin, return_exceptions=True))[0]
        if not isinstance(done, BaseException):
            await done.rollback()
        await sound(single)


async def test_an_end_that_is_cancelled_has_happened_for_all_or_none(
    single: PostgresWorld,
) -> None:
    for steps in range(1, 12):
        jobs, claims = some(2)
        group = await a_group(single, *claims)
        for job in jobs:
            await write(single, group, str(job))
        complete = asyncio.create_task(group.complete([an_entry(job) for job in jobs]))
        for _ in range(steps):
            await asyncio.sleep(0)
        complete.cancel()
        await asyncio.gather(complete, return_exceptions=True)
        await sound(single)
        rows = [await single.ledger.row(job, 1) is not None for job in jobs]
        assert rows == [await single.read(str(job)) == 1 for job in jobs]
        assert len(set(rows)) == 1


async def test_the_look_up_reads_by_key_however_large_the_ledger_grew(
    real: PostgresWorld,
) -> None:
    async with real.service.connection() as connection:
        await connection.execute(
            "INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, body)"
            " SELECT gen_random_uuid(), 1, 'c', 0, 2, n, '' FROM generate_series(1, 20000) n"
        )
    _, claims = some(16)
    group = await a_group(real, *claims)
    await group.rollback()
    async with real.service.connection() as connection:
        await connection.execute("SELECT pg_stat_reset()")
    group = await a_group(real, *claims)
    await raw(group).execute("ROLLBACK; SELECT pg_stat_force_next_flush()")
    await group.rollback()
    async with real.service.connection() as connection:
        read = await connection.fetchval(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables"
            " WHERE relid = 'jobs.ledger'::regclass"
        )
    assert read < 100


async def test_a_connection_serves_sessions_of_groups_and_of_single_jobs(
    single: PostgresWorld,
) -> None:
    for number in range(4):
        jobs, claims = some(1)
        if number % 2:
            group = await a_group(single, *claims)
            session = await group.share().session()
            await session.execute(insert(Effect).values(key=str(number), value=1))
            await group.keep(last=True)
            assert await group.complete([an_entry(jobs[0])]) is Answer.DONE
        else:
            transaction = await begun(single, claims[0])
            session = await transaction.session()
            await session.execute(insert(Effect).values(key=str(number), value=1))
            assert await transaction.complete(an_entry(jobs[0])) is Answer.DONE
    assert [await single.read(str(number)) for number in range(4)] == [1] * 4
