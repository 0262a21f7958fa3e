"""What may this user do in the database, what time is it there, and what stands in the way?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from processor.adapters.postgres.migrated import SCHEMA

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

_MISSING_RIGHTS: Final = f"""
SELECT r.word || ' ON ' || c.oid::regclass::text AS missing
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r (word)
WHERE n.nspname = '{SCHEMA}' AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, r.word)
UNION ALL
SELECT 'EXECUTE ON FUNCTION ' || p.oid::regprocedure::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = '{SCHEMA}' AND NOT has_function_privilege(p.oid, 'EXECUTE')
ORDER BY missing
"""  # noqa: S608 - our own name
_USABLE: Final = f"SELECT has_schema_privilege('{SCHEMA}', 'USAGE')"
_CONNECTIONS: Final = """
SELECT current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer AS allowed,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS used
"""
_ASIDE: Final = "SELECT topic, count(*) FROM jobs.aside GROUP BY topic ORDER BY topic"
_POSITIONS: Final = """
SELECT partition, critical, high, normal, low FROM jobs.ownership ORDER BY partition
"""
_USER: Final = "SELECT current_user"
_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::float"


class Room(NamedTuple):
    """How many connections the server allows, and how many it has, this one included."""

    allowed: int
    used: int


async def missing_rights(connection: Connection) -> list[str]:
    """What of our tables and functions this user may not use, in SQL's words."""
    user = await connection.fetchval(_USER)
    if not await connection.fetchval(_USABLE):
        return [f"USAGE ON SCHEMA {SCHEMA} TO {user}"]
    return [f"{row['missing']} TO {user}" for row in await connection.fetch(_MISSING_RIGHTS)]


async def clock_ahead(connection: Connection) -> float:
    """Seconds that the database's clock is ahead of this machine's."""
    before = time.time()
    there: float = await connection.fetchval(_CLOCK)
    return there - (before + time.time()) / 2


async def room(connection: Connection) -> Room:
    """How many connections there are."""
    row: Any = await connection.fetchrow(_CONNECTIONS)
    return Room(row["allowed"], row["used"])


async def kept_aside(connection: Connection) -> dict[str, int]:
    """Records that no projection could read, by topic."""
    return {row["topic"]: row["count"] for row in await connection.fetch(_ASIDE)}


async def positions(connection: Connection) -> dict[int, tuple[int, int, int, int]]:
    """By partition, the offset in each lane below which everything is done."""
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in await connection.fetch(_POSITIONS)}
