"""Do a handler's writes and its job's outcome commit together and roll back together?

Whatever the handler does, through an SQLAlchemy session and through the raw connection; the error
of a misuse is a sentence that says what to mend. The worker has one connection, so that whatever a
job leaves behind meets the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal

import asyncpg
import pytest
import pytest_asyncio
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tenacity import wait_none

from processor import (
    JobId,
    Jobs,
    JobStatus,
    Reject,
    Request,
    Retry,
    State,
    Submission,
    TransactionMisused,
)
from tests.commands import Commands
from tests.together import Together, together

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

Through = Literal["session", "connection"]
THROUGH = pytest.mark.parametrize("through", ["session", "connection"])
TABLES = """
CREATE TABLE written (key text, note text);
CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
"""
SWALLOWED = (
    "TransactionMisused: the handler went on after an SQL error, which had ended its transaction:"
    " let the error out, or use a savepoint (session.begin_nested(), connection.transaction())"
)
ROLLED_BACK = (
    "TransactionMisused: the handler rolled its session back: nothing of it is kept, so the job is"
    " not complete; raise an error instead, or use session.begin_nested()"
)


class Work(BaseModel):
    """What a handler is to do, and by which of the two."""

    does: str
    key: str
    through: Through
    statement: str = ""


class Means:
    """A handler's way to the database: a session or a connection, used alike."""

    def __init__(self, work: Work, opened: Any) -> None:  # noqa: ANN401 - either
        self._key = work.key
        self.statement = work.statement
        self.connection = None if isinstance(opened, AsyncSession) else opened
        self._session = opened if isinstance(opened, AsyncSession) else None

    @property
    def session(self) -> AsyncSession:
        assert self._session is not None
        return self._session

    async def execute(self, statement: str) -> None:
        if self.connection is not None:
            await self.connection.execute(statement)
        else:
            await self.session.execute(text(statement))

    async def write(self, note: str = "its own") -> None:
        await self.execute(f"INSERT INTO written VALUES ('{self._key}', '{note}')")

    def savepoint(self) -> Any:  # noqa: ANN401 - either library's
        if self.connection is not None:
            return self.connection.transaction()
        return self.session.begin_nested()


class Handler:
    """What handlers do; each method is one way to end."""

    def __init__(self, outside: asyncpg.Connection[Any]) -> None:
        self._outside = outside
        self.wrote = asyncio.Event()
        self.is_enough = asyncio.Event()
        self.left: asyncio.Task[None] | None = None

    async def __call__(self, request: Request[Work]) -> object:
        work = request.payload
        opens = request.session if work.through == "session" else request.connection
        means = Means(work, await opens())
        await means.write()
        return await getattr(self, work.does)(means)

    async def returns(self, _: Means) -> None: ...

    async def raises(self, _: Means) -> None:
        raise RuntimeError("the handler's own")

    async def rejects(self, _: Means) -> None:
        raise Reject("there is no such flight")

    async def waits(self, _: Means) -> None:
        self.wrote.set()
        await asyncio.Event().wait()

    async def swallows_being_stopped(self, means: Means) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.waits(means)
        with contextlib.suppress(Exception):  # a session may not be usable any more
            await means.write()

    async def is_cancelled_from_within(self, _: Means) -> None:
        raise asyncio.CancelledError

    async def swallows_an_sql_error(self, means: Means) -> None:
        with contextlib.suppress(Exception):
            await means.execute("INSERT INTO nowhere VALUES (1)")

    async def mends_an_sql_error(self, means: Means) -> None:
        with contextlib.suppress(Exception):
            async with means.savepoint():
                await means.write("undone")
                await means.execute("INSERT INTO nowhere VALUES (1)")
        async with means.savepoint():
            await means.write()

    async def breaks_a_deferred_constraint(self, means: Means) -> None:
        await means.execute("INSERT INTO once VALUES (1), (1)")

    async def commits(self, means: Means) -> None:
        await means.session.commit()
        await means.write()

    async def commits_and_raises(self, means: Means) -> None:
        await self.commits(means)
        raise RuntimeError("after its own commit")

    async def begins_as_usual(self, means: Means) -> None:
        await means.session.commit()
        async with means.session.begin():
            await means.write()

    async def closes(self, means: Means) -> None:
        await means.session.close()

    async def rolls_back(self, means: Means) -> None:
        await means.session.rollback()

    async def executes(self, means: Means) -> None:
        await means.execute(means.statement)
        await means.write()

    async def executes_and_swallows(self, means: Means) -> None:
        with contextlib.suppress(Exception):
            await means.execute(means.statement)

    async def leaves_a_query_running(self, means: Means) -> None:
        self.left = asyncio.create_task(means.execute("SELECT pg_sleep(600)"))
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not await self._outside.fetchval(asleep):
            assert not self.left.done()

    async def leaves_a_task_that_goes_on_writing(self, means: Means) -> None:
        self.left = asyncio.create_task(self._write_on(means))

    async def _write_on(self, means: Means) -> None:
        refused = []
        while not self.is_enough.is_set():
            try:
                await means.write("late")
            except Exception as error:  # noqa: BLE001 - a session's later ones are SQLAlchemy's own
                refused.append(error)
            await asyncio.sleep(0)
        assert isinstance(refused[0], TransactionMisused), refused[0]
        assert "has returned" in str(refused[0])


class World:
    """A worker with one connection, and what may be asked of it."""

    def __init__(self, of: Together, outside: asyncpg.Connection[Any]) -> None:
        self.of = of
        self.outside = outside
        self.handler = Handler(outside)

    async def submit(
        self, does: str, through: str, statement: str = "", kind: str = "works"
    ) -> tuple[JobId, str]:
        key = secrets.token_hex(6)
        work = {"does": does, "key": key, "through": through, "statement": statement}
        return await self.of.client.submit(Submission(kind, work)), key

    async def end_of(
        self, does: str, through: str, statement: str = "", kind: str = "works"
    ) -> tuple[JobStatus, int]:
        """How a job ended, and how many rows are there that it wrote."""
        job, key = await self.submit(does, through, statement, kind)
        status = await self.of.ended(job)
        return status, await self.rows(key)

    async def rows(self, key: str) -> int:
        count: int = await self.of.database.fetchval(
            "SELECT count(*) FROM written WHERE key = $1 AND note = 'its own'", key
        )
        assert await self.notes("undone") == 0
        return count

    async def notes(self, note: str) -> int:
        count: int = await self.of.database.fetchval(
            "SELECT count(*) FROM written WHERE note = $1", note
        )
        return count

    async def left(self) -> BaseException | None:
        """How the task ended that the handler left behind."""
        assert self.handler.left is not None
        (end,) = await asyncio.gather(self.handler.left, return_exceptions=True)
        return end


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_run: Commands) -> AsyncIterator[World]:
    jobs = Jobs()
    async with together(replace(shared_run.settings, connections=1), jobs) as of:
        await of.database.execute(TABLES)
        world = World(of, await asyncpg.connect(shared_run.settings.need_database()))

        async def works(request: Request[Work]) -> object:
            return await world.handler(request)

        once = Retry(attempts=1)
        jobs.register("works", works, retry=once)
        jobs.register("works on", works, retry=Retry(attempts=3, wait=wait_none()))
        jobs.register("is too slow", works, retry=once, timeout=0.5)
        yield world
        await world.outside.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: World) -> AsyncIterator[World]:
    """The world; afterwards its worker's one connection must serve jobs as before."""
    shared.handler = Handler(shared.outside)
    yield shared
    status, rows = await shared.end_of("returns", "connection")
    assert (status.state, rows) == (State.COMPLETE, 1)
    assert await shared.notes("late") == 0


def said_of(status: JobStatus) -> str:
    """What its error says: the reason, and the sentence."""
    error = status.current.error
    return "" if error is None else f"{error.reason}: {error.message}"


@THROUGH
@pytest.mark.parametrize(
    ("does", "kept", "said"),
    [
        ("returns", 1, ""),
        ("mends_an_sql_error", 2, ""),
        ("raises", 0, "HandlerFailed: the handler's own"),
        ("rejects", 0, "Reject: there is no such flight"),
        ("is_cancelled_from_within", 0, "HandlerFailed: "),
        (
            "swallows_an_sql_error",
            0,
            SWALLOWED,
        ),
        ("breaks_a_deferred_constraint", 0, "HandlerFailed: duplicate key value violates unique"),
        ("leaves_a_query_running", 0, "TransactionMisused: "),
    ],
)
async def test_a_handlers_writes_and_its_outcome_commit_together_and_roll_back_together(
    world: World, does: str, kept: int, said: str, through: str
) -> None:
    status, rows = await world.end_of(does, through)
    assert (status.state, rows) == (State.COMPLETE if kept else State.FAILED, kept)
    assert said_of(status).startswith(said)
    if world.handler.left is not None:
        assert isinstance(await world.left(), Exception), "its query was broken off"


@THROUGH
@pytest.mark.parametrize("does", ["waits", "swallows_being_stopped"])
async def test_what_a_handler_wrote_before_its_time_out_is_rolled_back(
    world: World, does: str, through: str
) -> None:
    status, rows = await world.end_of(does, through, kind="is too slow")
    assert (status.state, rows) == (State.FAILED, 0)
    assert said_of(status) == "AttemptTimeout: the attempt took longer than 0.5 s"


@THROUGH
@pytest.mark.parametrize("does", ["waits", "swallows_being_stopped"])
async def test_what_a_handler_wrote_before_it_was_cancelled_is_rolled_back(
    world: World, does: str, through: str
) -> None:
    job, key = await world.submit(does, through)
    await world.handler.wrote.wait()
    assert (await world.of.client.cancel(job, by="ada")).ours
    status = await world.of.ended(job)
    assert (status.state, await world.rows(key)) == (State.CANCELLED, 0)


@pytest.mark.parametrize(
    ("does", "kept", "said"),
    [
        ("commits", 2, ""),
        ("begins_as_usual", 2, ""),
        ("closes", 1, ""),  # as SQLAlchemy has it of a session that joined a transaction
        ("commits_and_raises", 0, "HandlerFailed: after its own commit"),
        (
            "rolls_back",
            0,
            ROLLED_BACK,
        ),
    ],
)
async def test_a_sessions_own_commit_waits_for_the_jobs_and_its_rollback_fails_the_attempt(
    world: World, does: str, kept: int, said: str
) -> None:
    status, rows = await world.end_of(does, "session")
    assert (status.state, rows) == (State.COMPLETE if kept else State.FAILED, kept)
    assert said_of(status) == said


@THROUGH
@pytest.mark.parametrize("does", ["executes", "executes_and_swallows"])
@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK; BEGIN"])
async def test_a_statement_that_would_end_the_jobs_transaction_ends_nothing_and_fails_the_attempt(
    world: World, does: str, statement: str, through: str
) -> None:
    status, rows = await world.end_of(does, through, statement, "works on")
    assert (status.state, status.attempts, rows) == (State.FAILED, 3, 0)
    assert said_of(status).startswith("TransactionMisused: the handler would have ended its job's")


@THROUGH
@pytest.mark.parametrize("statement", ["BEGIN", "SELECT '; COMMIT'"])
async def test_a_statement_that_only_looks_like_it_is_let_through(
    world: World, statement: str, through: str
) -> None:
    status, rows = await world.end_of("executes", through, statement)
    assert (status.state, rows, said_of(status)) == (State.COMPLETE, 2, "")


@THROUGH
async def test_what_a_task_writes_that_outlives_its_handler_is_in_no_jobs_transaction(
    world: World, through: str
) -> None:
    status, rows = await world.end_of("leaves_a_task_that_goes_on_writing", through)
    for _ in range(5):
        job, key = await world.submit("returns", through)
        assert (await world.of.ended(job)).state is State.COMPLETE
        assert await world.rows(key) == 1
    world.handler.is_enough.set()
    assert await world.left() is None
    assert (status.state, rows, await world.notes("late")) == (State.COMPLETE, 1, 0)
