"""Does a database have this release's tables?

Apart from how they come there: whoever only asks loads neither Alembic nor SQLAlchemy, which take
longer than all else that a worker loads.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from processor.domain.errors import ConfigurationError

SCHEMA: Final = "jobs"
VERSION_TABLE: Final = "migration"
NEWEST: Final = "0005"
"""The last of `migrations/versions`."""
OLDEST_SERVER: Final = 150_000


async def assert_migrated(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Raise `ConfigurationError` unless the database has this release's tables."""
    assert_server(connection.get_server_version().major)
    try:
        found = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}")  # noqa: S608 - our own names
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise ConfigurationError(
            "the database has no tables yet: run `processor migrate`"
        ) from None
    if found != NEWEST:
        raise ConfigurationError(
            f"the database's tables are of version {found}, this release needs {NEWEST}:"
            " run `processor migrate`"
        )


def assert_server(major: int) -> None:
    """Raise `ConfigurationError` unless PostgreSQL is new enough."""
    oldest = OLDEST_SERVER // 10_000
    if major < oldest:
        raise ConfigurationError(f"PostgreSQL {oldest} or later is needed; this one is {major}")
