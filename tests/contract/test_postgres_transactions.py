"""What can a handler, a network or a server do to a job's transaction in PostgreSQL?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.transactions import (
    PREPARE,
    PostgresTransaction,
    PostgresTransactions,
)
from processor.domain.errors import (
    AttemptTimeout,
    ConfigurationError,
    TransactionMisused,
    Unavailable,
)
from processor.domain.priority import Priority
from processor.ports.ledger import Answer, Fault
from processor.ports.transactions import Claim, Transaction
from tests.contract.worlds import (
    PostgresWorld,
    a_claim,
    a_job,
    an_entry,
    begun,
    in_postgres,
)


class Tables(DeclarativeBase):
    pass


class Effect(Tables):
    __tablename__ = "effect"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


@pytest.fixture
async def single(emptied: str) -> AsyncIterator[PostgresWorld]:
    """One connection for handlers, so that what a job leaves behind meets the next one."""
    async with in_postgres(emptied, size=1) as opened:
        yield opened


async def backend(transaction: Transaction) -> int:
    found: int = await transaction.connection().fetchval("SELECT pg_backend_pid()")
    return found


def unchecked(transaction: Transaction) -> Any:  # noqa: ANN401 - asyncpg's own
    """The connection itself: no look at the text may be the only guard."""
    assert isinstance(transaction, PostgresTransaction)
    link = transaction._link  # noqa: SLF001 - what a handler cannot reach
    assert link is not None
    return link.raw


async def sound(world: PostgresWorld) -> None:
    """The pool serves jobs on every connection that it may have."""
    for _ in range(3):
        job = a_job()
        transaction = await begins_again(world, a_claim(job))
        assert not isinstance(transaction, Answer)
        await world.write(transaction, str(job), 1)
        assert await transaction.complete(an_entry(job)) is Answer.DONE
        assert await world.read(str(job)) == 1


# what a handler may do to its transaction


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"])
async def test_a_handler_that_ends_its_transaction_is_not_complete(
    single: PostgresWorld, statement: str
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await unchecked(transaction).execute(statement)
    with pytest.raises(TransactionMisused, match="ended its job's transaction"):
        await transaction.complete(an_entry(job))
    assert await single.ledger.row(job, 1) is None
    await sound(single)


@pytest.mark.parametrize("name", ["execute", "fetch", "fetchval", "prepare", "cursor"])
async def test_a_statement_that_would_end_the_transaction_is_not_sent_and_not_forgotten(
    single: PostgresWorld, name: str
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await single.write(transaction, "kept", 1)
    for named in ({}, {"query": "COMMIT"}):
        with pytest.raises(TransactionMisused, match="nothing was sent"):
            getattr(transaction.connection(), name)(*([] if named else ["COMMIT"]), **named)
    with pytest.raises(TransactionMisused, match="would have ended its job's transaction"):
        await transaction.complete(an_entry(job))
    assert await single.read("kept") is None
    await sound(single)


async def test_the_names_of_tables_are_no_statements(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await transaction.connection().execute('CREATE TABLE "commit" (n int)')
    await transaction.connection().copy_records_to_table("commit", records=[(1,)])
    assert await transaction.complete(an_entry(job)) is Answer.DONE


async def test_a_handler_that_swallows_an_sql_error_is_not_complete(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    with pytest.raises(asyncpg.UndefinedTableError):
        await transaction.connection().execute("SELECT * FROM nowhere")
    with pytest.raises(TransactionMisused, match="went on after an SQL error"):
        await transaction.complete(an_entry(job))
    await sound(single)


async def test_a_savepoint_mends_an_sql_error(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    connection = transaction.connection()
    with pytest.raises(asyncpg.UndefinedTableError):
        async with connection.transaction():
            await connection.execute("SELECT * FROM nowhere")
    await single.write(transaction, "total", 5)
    assert await transaction.complete(an_entry(job)) is Answer.DONE
    assert await single.read("total") == 5


async def test_a_deferred_constraint_that_fails_at_commit_is_the_handlers_error(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    connection = transaction.connection()
    await connection.execute("CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    await connection.execute("INSERT INTO once VALUES (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError, match="once_n_key"):
        await transaction.complete(an_entry(job))
    assert await single.ledger.row(job, 1) is None
    await sound(single)


async def test_a_connection_may_only_query(single: PostgresWorld) -> None:
    transaction = await begun(single, a_claim(a_job()))
    for name in ("close", "terminate", "reset", "add_listener", "set_type_codec", "_protocol"):
        with pytest.raises(TransactionMisused, match="not for handlers"):
            getattr(transaction.connection(), name)
    await transaction.rollback()


async def test_statements_cursors_and_savepoints_end_with_the_handler(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    connection = transaction.connection()
    statement = await connection.prepare("INSERT INTO effect VALUES ($1, $2) RETURNING value")
    assert await statement.fetchval("kept", 1) == 1
    cursor = await connection.cursor("SELECT generate_series(1, 3)")
    assert (await cursor.fetchrow())[0] == 1
    rows = [row[0] async for row in connection.cursor("SELECT generate_series(1, 3)")]
    assert rows == [1, 2, 3]
    savepoint = connection.transaction()
    await transaction.complete(an_entry(job))
    following = await begun(single, a_claim(a_job()))
    with pytest.raises(TransactionMisused, match="has returned"):
        await statement.fetchval("left", 2)
    with pytest.raises(TransactionMisused, match="has returned"):
        await cursor.fetchrow()
    with pytest.raises(TransactionMisused, match="has returned"):
        await savepoint.start()
    with pytest.raises(TransactionMisused, match="has returned"):
        await connection.execute("INSERT INTO effect VALUES ('left', 2)")
    await following.rollback()
    assert await single.read("left") is None


async def test_a_query_that_a_task_left_running_fails_the_attempt(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    left = asyncio.create_task(transaction.connection().execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0)
    await transaction.seal()
    with pytest.raises(TransactionMisused, match="still running"):
        await transaction.complete(an_entry(job))
    assert isinstance((await asyncio.gather(left, return_exceptions=True))[0], Exception)
    again = await begins_again(single, a_claim(job))
    assert not isinstance(again, Answer)
    await again.rollback()
    await sound(single)


async def test_a_query_that_a_task_left_running_in_a_session_fails_the_attempt(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    process = await backend(transaction)
    session = await transaction.session()
    left = asyncio.create_task(session.execute(text("SELECT pg_sleep(60)")))
    await active(single, process)
    await transaction.seal()
    with pytest.raises(TransactionMisused, match="left behind"):
        await transaction.complete(an_entry(job))
    assert isinstance((await asyncio.gather(left, return_exceptions=True))[0], Exception)
    again = await begins_again(single, a_claim(job))
    assert not isinstance(again, Answer)
    await again.rollback()
    await sound(single)


async def test_a_set_of_one_handler_is_not_the_next_ones(single: PostgresWorld) -> None:
    for ends_well in (True, False):
        job = a_job()
        transaction = await begun(single, a_claim(job))
        await transaction.connection().execute("SET search_path = pg_catalog")
        await (transaction.complete(an_entry(job)) if ends_well else transaction.rollback())
        following = await begun(single, a_claim(a_job()))
        shown = await following.connection().fetchval("SHOW search_path")
        assert shown == '"$user", public'
        await following.rollback()


async def test_a_set_that_a_handler_committed_by_itself_is_not_the_next_ones(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await unchecked(transaction).execute("COMMIT; SET search_path = pg_catalog")
    with pytest.raises(TransactionMisused):
        await transaction.complete(an_entry(job))
    following = await begun(single, a_claim(a_job()))
    assert await following.connection().fetchval("SHOW search_path") == '"$user", public'
    await following.rollback()


async def test_prepared_statements_that_a_handler_dropped_are_missed_and_made_again(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await transaction.connection().execute("DEALLOCATE ALL")
    with pytest.raises(TransactionMisused, match="prepared statements"):
        await transaction.complete(an_entry(job))
    await sound(single)


# sessions


async def test_a_session_writes_in_the_jobs_own_transaction(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    session = await transaction.session()
    assert await transaction.session() is session
    here = (await session.execute(text("SELECT pg_backend_pid()"))).scalar()
    assert here == await backend(transaction)
    await session.execute(insert(Effect).values(key="core", value=1))
    session.add(Effect(key="orm", value=2))
    await transaction.seal()
    assert await single.read("core") is None
    assert await transaction.complete(an_entry(job)) is Answer.DONE
    assert (await single.read("core"), await single.read("orm")) == (1, 2)


async def test_a_nested_transaction_is_a_real_savepoint(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    session = await transaction.session()
    async with session.begin_nested():
        await session.execute(insert(Effect).values(key="kept", value=1))
    with pytest.raises(IntegrityError):
        async with session.begin_nested():
            await session.execute(insert(Effect).values(key="kept", value=2))
    await session.execute(insert(Effect).values(key="after", value=3))
    await session.commit()
    await session.execute(insert(Effect).values(key="more", value=4))
    assert await transaction.complete(an_entry(job)) is Answer.DONE
    kept = [await single.read(key) for key in ("kept", "after", "more")]
    assert kept == [1, 3, 4]


async def test_what_a_session_holds_is_sent_before_the_handlers_work_counts(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    session = await transaction.session()
    await session.execute(insert(Effect).values(key="twice", value=1))
    session.add(Effect(key="twice", value=2))
    with pytest.raises(IntegrityError):
        await transaction.seal()
    await transaction.rollback()
    assert await single.read("twice") is None
    await sound(single)


async def test_a_session_whose_error_was_swallowed_is_not_complete(
    single: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    session = await transaction.session()
    with pytest.raises(DBAPIError):
        await session.execute(text("SELECT * FROM nowhere"))
    with pytest.raises(TransactionMisused, match="went on after an SQL error"):
        await transaction.complete(an_entry(job))
    await sound(single)


async def test_nothing_of_a_session_reaches_the_next_jobs_transaction(
    single: PostgresWorld,
) -> None:
    job, next_job = a_job(), a_job()
    transaction = await begun(single, a_claim(job))
    session = await transaction.session()
    underneath = await session.connection()
    driver: Any = (await underneath.get_raw_connection()).driver_connection
    await session.execute(insert(Effect).values(key="first", value=1))
    await transaction.complete(an_entry(job))
    following = await begun(single, a_claim(next_job))
    own_session = await following.session()
    await own_session.execute(insert(Effect).values(key="second", value=2))
    late = insert(Effect).values(key="late", value=3)
    with pytest.raises(TransactionMisused, match="has returned"):
        await session.execute(late)
    with pytest.raises(TransactionMisused, match="has returned"):
        await underneath.execute(late)
    with pytest.raises(TransactionMisused, match="has returned"):
        await underneath.begin_nested()
    with pytest.raises(TransactionMisused, match="has returned"):
        await driver.execute("INSERT INTO effect VALUES ('late', 3)")
    session.add(Effect(key="late", value=3))
    with pytest.raises(TransactionMisused, match="has returned"):
        await session.flush()
    await session.rollback()
    await underneath.rollback()
    await session.close()
    await following.complete(an_entry(next_job))
    kept = [await single.read(key) for key in ("first", "second", "late")]
    assert kept == [1, 2, None]


async def test_an_applications_own_sessionmaker_is_called(emptied: str) -> None:
    class OwnSession(AsyncSession):
        pass

    made: list[dict[str, Any]] = []
    maker = async_sessionmaker(class_=OwnSession, expire_on_commit=False)

    def sessions(**named: Any) -> AsyncSession:  # noqa: ANN401 - as SQLAlchemy names them
        made.append(named)
        return maker(**named)

    async with in_postgres(emptied, sessions=sessions) as world:
        job = a_job()
        transaction = await begun(world, a_claim(job))
        session = await transaction.session()
        assert isinstance(session, OwnSession)
        await session.execute(insert(Effect).values(key="own", value=1))
        await session.rollback()
        with pytest.raises(TransactionMisused, match="rolled its session back"):
            await transaction.complete(an_entry(job))
    assert [sorted(named) for named in made] == [["bind", "join_transaction_mode"]]
    assert made[0]["join_transaction_mode"] == "rollback_only"


def test_raw_handlers_do_not_pay_for_sqlalchemy() -> None:
    looked = (
        "import sys, processor.adapters.postgres.transactions;"
        "print([name for name in sys.modules if name.startswith('sqlalchemy')])"
    )
    shown = subprocess.run([sys.executable, "-c", looked], capture_output=True, check=True)
    assert shown.stdout.strip() == b"[]"


# what the network and the server may do


async def test_a_lost_connection_is_a_fault_and_replaced(single: PostgresWorld) -> None:
    job = a_job()
    transaction = await begun(single, a_claim(job))
    await end_backend(single, await backend(transaction))
    with pytest.raises(Fault):
        await transaction.complete(an_entry(job))
    assert await single.ledger.row(job, 1) is None
    await sound(single)


async def test_a_connection_lost_under_a_query_is_a_fault_whatever_the_handler_makes_of_it(
    single: PostgresWorld,
) -> None:
    transaction = await begun(single, a_claim(a_job()))
    process = await backend(transaction)
    query = asyncio.create_task(transaction.connection().execute("SELECT pg_sleep(60)"))
    await active(single, process)
    await end_backend(single, process)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as raised:
        await query
    assert isinstance(transaction.fault(raised.value), Fault)
    assert isinstance(transaction.fault(ValueError("the handler's own sentence")), Fault)
    await transaction.rollback()
    await sound(single)


async def test_a_connection_lost_under_a_session_is_a_fault(single: PostgresWorld) -> None:
    transaction = await begun(single, a_claim(a_job()))
    session = await transaction.session()
    process = (await session.execute(text("SELECT pg_backend_pid()"))).scalar()
    query = asyncio.create_task(session.execute(text("SELECT pg_sleep(60)")))
    await active(single, process)
    await end_backend(single, process)
    with pytest.raises(DBAPIError) as raised:
        await query
    assert isinstance(transaction.fault(raised.value), Fault)
    await transaction.rollback()
    await sound(single)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("of its own"),
        ConnectionRefusedError(111, "another server"),
        OSError(2),
        asyncpg.ObjectNotInPrerequisiteStateError("currval of a sequence is not yet defined"),
    ],
)
async def test_an_error_that_is_not_the_databases_is_no_fault_while_the_connection_is_sound(
    single: PostgresWorld, error: Exception
) -> None:
    transaction = await begun(single, a_claim(a_job()))
    timed_out = AttemptTimeout("the attempt took longer than 300 s")
    timed_out.__cause__ = error
    assert transaction.fault(error) is None
    assert transaction.fault(timed_out) is None
    await transaction.rollback()


async def test_a_connection_that_was_lost_while_idle_is_replaced(single: PostgresWorld) -> None:
    transaction = await begun(single, a_claim(a_job()))
    process = await backend(transaction)
    await transaction.rollback()
    await end_backend(single, process)
    try:
        await sound(single)
    except Fault:  # the loss was not yet noticed: repeated, as a job is
        await sound(single)


async def test_a_deadlock_between_handlers_is_a_fault(real: PostgresWorld) -> None:
    first, second = await begun(real, a_claim(a_job(), 1)), await begun(real, a_claim(a_job(), 2))
    for number in (1, 2):
        async with real.service.connection() as connection:
            await connection.execute("INSERT INTO effect VALUES ($1, 0)", str(number))
    change = "UPDATE effect SET value = value + 1 WHERE key = $1"
    await first.connection().execute(change, "1")
    await second.connection().execute(change, "2")
    ends = await asyncio.gather(
        first.connection().execute(change, "2"),
        second.connection().execute(change, "1"),
        return_exceptions=True,
    )
    (error,) = [end for end in ends if isinstance(end, BaseException)]
    loser = first if ends[0] is error else second
    assert isinstance(loser.fault(error), Fault)
    await first.rollback()
    await second.rollback()


async def test_a_transaction_idle_past_its_limit_is_the_handlers_doing(emptied: str) -> None:
    async with in_postgres(emptied, size=1, idle=0.05) as world:
        job = a_job()
        transaction = await begun(world, a_claim(job))
        process = await backend(transaction)
        await gone(world, process)
        with pytest.raises(TransactionMisused, match="idle for more than"):
            await transaction.complete(an_entry(job))
        await sound(world)


async def test_the_server_ends_what_a_frozen_worker_left_and_its_locks(emptied: str) -> None:
    async with in_postgres(emptied, idle=0.5) as world:
        frozen = await begun(world, a_claim(a_job(), 7))
        assert await world.transactions.begin(a_claim(a_job(), 7)) is Answer.BUSY
        await gone(world, await backend(frozen))
        await (await begun(world, a_claim(a_job(), 7))).rollback()
        await frozen.rollback()


async def test_begin_looks_in_a_fresh_snapshot_whatever_the_databases_default(
    real: PostgresWorld,
) -> None:
    async with real.service.connection() as connection:
        await connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
            " default_transaction_isolation = ''repeatable read''', current_database()); END $$"
        )
    real.handlers.drop()
    transaction = await begun(real, a_claim(a_job()))
    shown = await transaction.connection().fetchval("SHOW transaction_isolation")
    default = await transaction.connection().fetchval("SHOW default_transaction_isolation")
    assert (shown, default) == ("read committed", "repeatable read")
    await transaction.rollback()
    async with real.handlers.connection() as connection:
        with pytest.raises(asyncpg.PostgresError, match="READ COMMITTED"):
            await connection.fetchval("SELECT jobs.begin_job_v1(0, 7, $1, 1, 0, 2, 5)", a_job())


async def test_on_a_restored_database_every_connection_is_closed_first(
    real: PostgresWorld,
) -> None:
    job = a_job()
    transaction = await begun(real, a_claim(job))
    lineage = real.handlers.lineage
    known = lineage._known  # noqa: SLF001 - a failover cannot be had here
    assert known is not None
    lineage.observe(type(known)(known.system, known.timeline + 1, known.written), 0)
    assert lineage.era == 1
    with pytest.raises(Fault):
        await transaction.complete(an_entry(job))
    assert await real.ledger.row(job, 1) is None


# cancelling


@pytest.mark.parametrize("through", ["connection", "session"])
async def test_a_cancelled_query_ends_on_the_server_and_leaves_the_pool_sound(
    single: PostgresWorld, through: str
) -> None:
    transaction = await begun(single, a_claim(a_job(), 7))
    process = await backend(transaction)
    if through == "connection":
        query = asyncio.create_task(transaction.connection().execute("SELECT pg_sleep(600)"))
    else:
        session = await transaction.session()
        query = asyncio.create_task(session.execute(text("SELECT pg_sleep(600)")))
    await active(single, process)
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    await transaction.rollback()
    await sound(single)
    await (await begun(single, a_claim(a_job(), 7))).rollback()


async def test_a_begin_that_is_cancelled_leaves_the_pool_sound(single: PostgresWorld) -> None:
    for steps in range(1, 12):
        begin = asyncio.create_task(single.transactions.begin(a_claim(a_job(), 7)))
        for _ in range(steps):
            await asyncio.sleep(0)
        begin.cancel()
        done = (await asyncio.gather(begin, return_exceptions=True))[0]
        if not isinstance(done, BaseException | Answer):
            await done.rollback()
        await sound(single)


async def test_a_complete_that_is_cancelled_has_happened_or_not_and_the_ledger_knows(
    single: PostgresWorld,
) -> None:
    for steps in range(1, 12):
        job = a_job()
        transaction = await begun(single, a_claim(job))
        await single.write(transaction, str(job), 1)
        complete = asyncio.create_task(transaction.complete(an_entry(job)))
        for _ in range(steps):
            await asyncio.sleep(0)
        complete.cancel()
        await asyncio.gather(complete, return_exceptions=True)
        again = await begins_again(single, a_claim(job))
        if isinstance(again, Answer):
            assert again is Answer.SETTLED
            assert await single.read(str(job)) == 1
        else:
            assert await single.read(str(job)) is None
            await again.rollback()


# connections


async def test_a_flood_in_the_low_lane_leaves_connections_to_the_lanes_above(
    real: PostgresWorld,
) -> None:
    low = await begun(real, a_claim(a_job(), 1, lane=Priority.LOW))
    second_low = asyncio.create_task(
        real.transactions.begin(a_claim(a_job(), 2, lane=Priority.LOW))
    )
    others = [
        await begun(real, a_claim(a_job(), 3 + lane, lane=lane))
        for lane in (Priority.NORMAL, Priority.HIGH, Priority.CRITICAL)
    ]
    assert not second_low.done()
    await low.rollback()
    late = await second_low
    assert not isinstance(late, Answer)
    for transaction in (late, *others):
        await transaction.rollback()


async def test_a_busy_answer_costs_no_connection(
    real: PostgresWorld, single: PostgresWorld
) -> None:
    free = await begun(single, a_claim(a_job(), 8))
    before = await backend(free)
    await free.rollback()
    held = await begun(real, a_claim(a_job(), 7))
    assert await single.transactions.begin(a_claim(a_job(), 7)) is Answer.BUSY
    free = await begun(single, a_claim(a_job(), 8))
    assert await backend(free) == before
    await free.rollback()
    await held.rollback()


async def test_a_database_without_our_tables_is_told_in_one_line(emptied: str) -> None:
    empty = emptied.rsplit("/", 1)[0] + "/postgres"
    with pytest.raises(ConfigurationError, match="run `processor migrate`"):
        async with Pool(empty, 1, prepare=PREPARE):
            pass


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", ConfigurationError),
        (lambda _: "postgresql://jobs@127.0.0.1:1/jobs", Unavailable),
        (lambda _: "http://127.0.0.1/jobs", ConfigurationError),
    ],
)
async def test_a_wrong_address_is_told_in_one_line_without_a_password(
    emptied: str, change: Callable[[str], str], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        async with Pool(change(emptied), 1):
            pass
    assert "\n" not in str(raised.value)


async def test_a_mistake_of_our_own_is_no_fault(real: PostgresWorld) -> None:
    with pytest.raises(asyncpg.DataError):
        async with real.service.connection() as connection:
            await connection.fetchval("SELECT $1::integer", "seven")


async def test_a_connection_lost_under_our_own_statement_is_a_fault(real: PostgresWorld) -> None:
    async def loses_it() -> None:
        async with real.service.connection() as connection:
            await end_backend(real, await connection.fetchval("SELECT pg_backend_pid()"))
            await connection.fetchval("SELECT 1")

    with pytest.raises(Fault):
        await loses_it()


async def test_a_database_that_does_not_answer_is_a_fault(single: PostgresWorld) -> None:
    pool = Pool("postgresql://jobs@127.0.0.1:1/jobs", 1)
    for _ in range(2):
        with pytest.raises(Fault):
            await PostgresTransactions(pool).begin(a_claim(a_job()))


async def begins_again(world: PostgresWorld, claim: Claim) -> Transaction | Answer:
    """Begin once nobody holds the entity any more: the server takes a moment to notice."""
    while True:
        again = await world.transactions.begin(claim)
        if again is not Answer.BUSY:
            return again
        await asyncio.sleep(0)


async def end_backend(world: PostgresWorld, process: int) -> None:
    async with world.service.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend($1, 5000)", process)


async def active(world: PostgresWorld, process: int) -> None:
    """Wait until a connection runs its long query."""
    sleeps = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"
    async with world.service.connection() as connection:
        while True:
            if await connection.fetchval(sleeps, process):
                return


async def gone(world: PostgresWorld, process: int) -> None:
    """Wait until the server has ended a connection."""
    counted = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
    async with world.service.connection() as connection:
        while True:
            if not await connection.fetchval(counted, process):
                return
