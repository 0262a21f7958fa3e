"""How is a second set of the projections' tables made, and put in the first's place?

The tables are made after the first ones as they stand, with indexes and constraints of the same
names, in a schema of their own: after a rebuild nothing tells the set from one that was migrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

SECOND: Final = "jobs_rebuild"
TABLES: Final = ("history", "live", "dead_letter", "aside")
"""In the order in which a projector locks them."""

_INDEXES: Final = """
SELECT i.relname AS name, pg_get_indexdef(i.oid) AS definition, c.contype::text AS kind
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_constraint c ON c.conindid = i.oid AND c.contype IN ('p', 'u')
WHERE x.indrelid = $1::regclass
"""
_COMMENT: Final = "SELECT quote_literal(obj_description($1::regclass))"
_OWN: Final = f"""
CREATE TABLE {SECOND}.start (
    topic text NOT NULL, partition smallint NOT NULL, marker smallint NOT NULL,
    at_offset bigint NOT NULL, at timestamptz NOT NULL, projection text NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE {SECOND}.reaching (job uuid PRIMARY KEY);
"""


async def create(connection: Connection) -> None:
    """Make the tables, empty, and two of the rebuild's own."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SECOND} CASCADE; CREATE SCHEMA {SECOND}")
    for table in TABLES:
        await connection.execute(
            f"CREATE TABLE {SECOND}.{table} (LIKE jobs.{table} INCLUDING ALL EXCLUDING INDEXES)"
        )
        for name, definition, kind in await connection.fetch(_INDEXES, f"jobs.{table}"):
            await connection.execute(definition.replace(" ON jobs.", f" ON {SECOND}.", 1))
            if kind is not None:
                key = "PRIMARY KEY" if kind == "p" else "UNIQUE"
                await connection.execute(
                    f"ALTER TABLE {SECOND}.{table}"
                    f' ADD CONSTRAINT "{name}" {key} USING INDEX "{name}"'
                )
        comment = await connection.fetchval(_COMMENT, f"jobs.{table}")
        if comment is not None:
            await connection.execute(f"COMMENT ON TABLE {SECOND}.{table} IS {comment}")
    await connection.execute(_OWN)


async def put_in_place(connection: Connection) -> None:
    """Drop the first set and move the second there; within the caller's transaction."""
    names = ", ".join(f"jobs.{table}" for table in TABLES)
    await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    for table in TABLES:
        await connection.execute(f"DROP TABLE jobs.{table}")
        await connection.execute(f"ALTER TABLE {SECOND}.{table} SET SCHEMA jobs")
    await connection.execute(f"DROP SCHEMA {SECOND} CASCADE")


async def drop(connection: Connection) -> None:
    """Drop what is there of the second set."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SECOND} CASCADE")
