"""On which database do the write side's ports run? Each suite on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from processor.adapters.memory.database import MemoryDatabase
from processor.local.stack import Stack
from tests.contract.worlds import (
    PARTITIONS,
    MemoryWorld,
    PostgresWorld,
    World,
    in_postgres,
)

SHARED = "jobs_contract"
ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
EMPTIED = """
DO $$
DECLARE
    made text;
BEGIN
    FOR made IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
        WHERE schemaname IN ('jobs', 'public') AND tablename <> 'migration'
    LOOP
        EXECUTE CASE WHEN made LIKE 'jobs.%' THEN 'TRUNCATE ' ELSE 'DROP TABLE ' END || made;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I RESET ALL', current_database());
END $$
"""


@pytest.fixture(scope="session")
def shared_database(stack: Stack, jobs_template: str) -> str:
    """The URL of one database for all of these suites: making one a test takes too long."""
    asyncio.run(_execute(stack.database, f'DROP DATABASE IF EXISTS "{SHARED}" WITH (FORCE)'))
    asyncio.run(_execute(stack.database, f'CREATE DATABASE "{SHARED}" TEMPLATE "{jobs_template}"'))
    return urlsplit(stack.database)._replace(path=f"/{SHARED}").geturl()


@pytest.fixture
def emptied(shared_database: str) -> str:
    """The same with no rows, no settings and nobody connected, whatever was there before."""
    asyncio.run(_execute(shared_database, ENDED, EMPTIED))
    return shared_database


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One worker's adapters, over a database of the test's own."""
    if request.param == "memory":
        yield MemoryWorld(MemoryDatabase.pinned(PARTITIONS))
        return
    url = await asyncio.to_thread(request.getfixturevalue, "emptied")
    async with in_postgres(url) as opened:
        yield opened


@pytest.fixture
async def real(emptied: str) -> AsyncIterator[PostgresWorld]:
    """The same, where only PostgreSQL can show it."""
    async with in_postgres(emptied) as opened:
        yield opened


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
