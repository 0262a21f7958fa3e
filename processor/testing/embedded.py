"""On which real broker and database do tests run, each with topics and tables to itself?"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from processor.adapters.kafka import topics
from processor.bootstrap.topics import create_topics
from processor.local import account
from processor.local.stack import LocalStack, Stack, running
from processor.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

TEMPLATE: Final = "jobs_template"
MIGRATE: Final = """
import asyncio, sys
from processor.adapters.postgres.migrations import migrate
asyncio.run(migrate(sys.argv[1]))
"""
PARTITIONS: Final = 4


@contextlib.contextmanager
def embedded() -> Iterator[LocalStack]:
    """The embedded stack, small, in a temporary folder that is deleted afterwards.

    Raises `ConfigurationError` where the extra `local` is not installed, `StackError`.
    """
    # Not in pytest's own folder: only its owner may enter that, and as root the database runs as
    # another user.
    folder = Path(tempfile.mkdtemp(prefix="job-processor-"))
    folder.chmod(0o711)
    try:
        with running(folder, heap="384m", buffers="128MB") as started:
            yield started
    finally:
        account.forget(folder)


def own_namespace() -> str:
    """A namespace of topics and groups that no other test has."""
    return f"test-{secrets.token_hex(5)}"


def migrated_template(stack: Stack) -> str:
    """Make a database with our tables and no rows, from which others are copied; its name."""
    _run(_administer(stack, f'CREATE DATABASE "{TEMPLATE}"'))
    # In a process of its own: reading the migrations blocks, which the tests' loops may forbid.
    subprocess.run([sys.executable, "-c", MIGRATE, _named(stack, TEMPLATE)], check=True)
    return TEMPLATE


@contextlib.contextmanager
def own_database(stack: Stack, template: str) -> Iterator[str]:
    """The URL of a migrated database, which is dropped afterwards, whoever is connected."""
    name = f"test_{secrets.token_hex(5)}"
    _run(_administer(stack, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield _named(stack, name)
    finally:
        _run(_administer(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))


@contextlib.contextmanager
def own_settings(stack: Stack, template: str) -> Iterator[Settings]:
    """Settings of topics and tables that are there and nobody else's, and gone afterwards."""
    with own_database(stack, template) as database:
        settings = Settings(
            kafka=stack.kafka,
            database=database,
            namespace=own_namespace(),
            partitions=PARTITIONS,
            replication=1,
            release="test",
            session_timeout=6.0,
            drain_timeout=5.0,
        )
        _run(create_topics(settings))
        try:
            yield settings
        finally:
            _run(topics.delete(stack.kafka, settings.topics))


def _named(stack: Stack, name: str) -> str:
    return urlsplit(stack.database)._replace(path=f"/{name}").geturl()


def _run(coroutine: Coroutine[Any, Any, object]) -> None:
    asyncio.run(coroutine)


async def _administer(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.database)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
