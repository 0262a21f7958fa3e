"""Does a handler in a `Harness` write to a database of the test's own as it would in a worker?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from processor import ConfigurationError, Jobs, Request, Retry, State, Submission
from processor.testing import Harness, in_virtual_time, virtual_time

TABLE = (
    "CREATE TABLE IF NOT EXISTS written (line text, UNIQUE (line) DEFERRABLE INITIALLY DEFERRED)"
)
INSERT = text("INSERT INTO written VALUES (:line)")
Sessions = async_sessionmaker[AsyncSession]


@asynccontextmanager
async def sessions_on(database: str) -> AsyncIterator[Sessions]:
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(text(TABLE))
    try:
        yield async_sessionmaker(engine)
    finally:
        await engine.dispose()


async def written(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(text("SELECT line FROM written ORDER BY line")))


jobs = Jobs()


@jobs.handler("writes", retry=Retry(attempts=1))
async def writes(request: Request[str]) -> None:
    session = await request.session()
    await session.execute(INSERT, {"line": request.payload})
    await session.commit()
    if "raise" in request.payload:
        raise ZeroDivisionError
    if "rollback" in request.payload:
        await session.rollback()


@jobs.handler("writes_raw", retry=Retry(attempts=1))
async def writes_raw(request: Request[str]) -> None:
    connection = await request.connection()
    await connection.execute("INSERT INTO written VALUES ($1)", request.payload)
    session = await request.session()
    seen = await session.scalar(text("SELECT count(*) FROM written"))
    async with connection.transaction():
        await connection.execute("INSERT INTO written VALUES ($1)", f"saw {seen}")


@in_virtual_time
async def test_effects_are_committed_with_the_job_and_rolled_back_with_it(database: str) -> None:
    async with sessions_on(database) as sessions, Harness(jobs, sessions=sessions) as harness:
        lines = ["good", "raise", "rollback"]
        good, raised, rolled = await harness.submit([Submission("writes", line) for line in lines])
        await harness.settled()
        assert await written(sessions) == ["good"]
        assert (await harness.status(good)).state is State.COMPLETE
        reasons = {one.died.job: one.died.reason for one in harness.dead_letters}
        assert reasons == {raised: "HandlerFailed", rolled: "TransactionMisused"}


@in_virtual_time
async def test_connection_and_session_are_in_one_transaction(database: str) -> None:
    async with sessions_on(database) as sessions, Harness(jobs, sessions=sessions) as harness:
        await harness.submit(Submission("writes_raw", "raw"))
        await harness.settled()
        assert await written(sessions) == ["raw", "saw 1"]
        assert harness.dead_letters == []


@in_virtual_time
async def test_what_the_database_refuses_at_the_commit_fails_the_attempt(database: str) -> None:
    async with sessions_on(database) as sessions, Harness(jobs, sessions=sessions) as harness:
        for _ in range(2):
            await harness.submit(Submission("writes", "same"))
            await harness.settled()
        assert await written(sessions) == ["same"]
        assert len(harness.dead_letters) == 1


@in_virtual_time
async def test_a_slow_query_does_not_run_into_the_time_out(database: str) -> None:
    slow = Jobs()

    @slow.handler("slow", timeout=60, retry=Retry(attempts=1))
    async def sleeps(request: Request[None]) -> None:
        await (await request.session()).execute(text("SELECT pg_sleep(0.3)"))

    async with sessions_on(database) as sessions, Harness(slow, sessions=sessions) as harness:
        job = await harness.submit(Submission("slow"))
        await harness.settled()
        assert (await harness.status(job)).state is State.COMPLETE


@in_virtual_time
async def test_who_sleeps_long_beside_an_open_connection_wakes_soon(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_time, "SILENT", 10)  # this machine is believed sooner
    async with sessions_on(database) as sessions:
        begun = asyncio.get_running_loop().time()
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
            await asyncio.sleep(7 * 24 * 3600)
        assert asyncio.get_running_loop().time() - begun >= 7 * 24 * 3600


@in_virtual_time
async def test_without_sessions_a_handler_that_asks_for_one_is_told_to_the_test() -> None:
    async with Harness(jobs) as harness:
        await harness.submit(Submission("writes", "x"))
        with pytest.raises(ConfigurationError, match=r"Harness\(jobs, sessions=…\)"):
            await harness.settled()


@in_virtual_time
async def test_sessions_that_are_bound_to_nothing_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="bound to an engine"):
        async with Harness(jobs, sessions=async_sessionmaker()):
            pass
