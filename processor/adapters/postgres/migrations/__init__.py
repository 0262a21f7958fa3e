"""How do the tables and functions of schema `jobs` come into a database?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from processor.adapters.postgres.faults import DRIVER_ERRORS, fault_of
from processor.adapters.postgres.migrated import SCHEMA, assert_server
from processor.domain.errors import ConfigurationError, ProcessorError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LOCK: Final = 0x6A6F6273
"""Held while migrating: "jobs" in ASCII."""


async def migrate(url: str) -> None:
    """Bring the database to this release's tables; harmless when it is there, also at once.

    One transaction: it is done whole or not at all. Raises `ConfigurationError` or `Unavailable`.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        # a snapshot older than the lock would show the version before another's migration
        isolation_level="READ COMMITTED",
        async_creator=lambda: asyncpg.connect(url),
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except (*DRIVER_ERRORS, ValueError) as error:
        raise _told(error) from error
    except DBAPIError as error:
        raise _told(error.__cause__ or error) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    number = connection.execute(text("SHOW server_version_num")).scalar_one()
    assert_server(int(number) // 10_000)
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _told(error: BaseException) -> ProcessorError:
    while isinstance(error.__cause__, asyncpg.PostgresError):
        error = error.__cause__
    sentence = (str(error).splitlines() or [type(error).__name__])[0]
    if fault_of(error) is not None:
        return Unavailable(f"PostgreSQL does not answer: {sentence}")
    return ConfigurationError(f"PostgreSQL refuses: {sentence}")
