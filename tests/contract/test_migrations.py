"""Do the tables come into a database whole, once, and from whoever comes first?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from processor.adapters.postgres import migrated
from processor.adapters.postgres.migrated import assert_migrated
from processor.adapters.postgres.migrations import migrate
from processor.domain.errors import ConfigurationError, Unavailable
from processor.local.stack import Stack

COUNTED = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'jobs' AND c.relkind = 'r'
"""
UNEXPLAINED = """
SELECT c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'jobs' AND c.relkind = 'r' AND c.relname <> 'migration'
    AND obj_description(c.oid) IS NULL
UNION ALL
SELECT p.proname FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'jobs' AND obj_description(p.oid) IS NULL
"""
UNVERSIONED = """
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'jobs' AND p.proname !~ '_v[0-9]+$'
"""


@pytest.fixture
async def empty(stack: Stack) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    name = f"test_{secrets.token_hex(5)}"
    connection = await asyncpg.connect(stack.database)
    await connection.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(stack.database)._replace(path=f"/{name}").geturl()
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


async def test_who_comes_at_once_or_again_finds_it_done(empty: str) -> None:
    await asyncio.gather(migrate(empty), migrate(empty), migrate(empty))
    await migrate(empty)
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT count(*) FROM jobs.migration") == 1
    assert await connection.fetchval(COUNTED) == 18
    await assert_migrated(connection)
    await connection.close()


async def test_it_works_where_the_database_defaults_to_repeatable_read(empty: str) -> None:
    connection = await asyncpg.connect(empty)
    name = urlsplit(empty).path[1:]
    await connection.execute(
        f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'"
    )
    await connection.close()
    await asyncio.gather(migrate(empty), migrate(empty))


async def test_everything_has_its_sentence_and_every_function_its_version(database: str) -> None:
    connection = await asyncpg.connect(database)
    assert await connection.fetch(UNEXPLAINED) == []
    assert await connection.fetch(UNVERSIONED) == []
    await connection.close()


async def test_a_database_without_tables_or_with_older_ones_says_what_to_do(
    empty: str, database: str
) -> None:
    connection = await asyncpg.connect(empty)
    with pytest.raises(ConfigurationError, match="no tables yet: run `processor migrate`"):
        await assert_migrated(connection)
    await connection.close()
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE jobs.migration SET version_num = '0000'")
    with pytest.raises(
        ConfigurationError, match=f"version 0000, this release needs {migrated.NEWEST}: run"
    ):
        await assert_migrated(connection)
    await connection.close()


async def test_an_older_server_is_refused(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrated, "OLDEST_SERVER", 990_000)
    with pytest.raises(ConfigurationError, match="PostgreSQL 99 or later is needed; this one is"):
        await migrate(empty)


async def test_a_server_that_does_not_answer_is_one_clear_line() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await migrate("postgresql://jobs@127.0.0.1:1/jobs")


async def test_a_database_that_is_not_there_is_one_clear_line(database: str) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await migrate(urlsplit(database)._replace(path="/nowhere").geturl())
