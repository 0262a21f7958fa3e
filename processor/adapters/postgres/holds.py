"""What is held, as rows of `jobs.hold`? A row that ended stays, and tells who ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.breaking import COLUMNS, PostgresBreaking, hold_of
from processor.adapters.postgres.operations import write_note
from processor.adapters.postgres.waiting_rows import instant
from processor.domain.priority import Priority
from processor.ports.holds import released
from processor.ports.operations import Note, OperationKind

if TYPE_CHECKING:
    from processor.ports.holds import Hold, HoldKind

_STANDS: Final = "ended_at IS NULL AND (until IS NULL OR until > statement_timestamp())"
OPEN: Final = f"""
SELECT {COLUMNS} FROM jobs.hold WHERE {_STANDS} ORDER BY id
"""  # noqa: S608 - names of columns
_END_BY_TIME: Final = """
UPDATE jobs.hold SET ended_at = until, ended_by = made_by, ended_why = 'its time was over'
WHERE (kind, value) = ($1, $2) AND ended_at IS NULL AND until <= statement_timestamp()
"""
_HOLD: Final = f"""
INSERT INTO jobs.hold AS h (kind, value, mode, why, made_by, until) VALUES ($1, $2, 'h', $3, $4, $5)
ON CONFLICT (kind, value, release) WHERE ended_at IS NULL DO UPDATE SET
    mode = 'h',
    until = CASE
        WHEN h.until IS NOT NULL AND excluded.until IS NOT NULL
        THEN greatest(h.until, excluded.until)
    END
RETURNING {COLUMNS}
"""  # noqa: S608 - names of columns
_RELEASE: Final = f"""
UPDATE jobs.hold SET ended_at = statement_timestamp(), ended_by = $4, ended_why = $5
WHERE {_STANDS} AND (id = $1 OR (kind, value) = ($2, $3))
RETURNING kind, value
"""  # noqa: S608 - our own condition

_RELEASE_AT_RATE: Final = f"""
UPDATE jobs.hold SET mode = 'r', rate = $4
WHERE {_STANDS} AND mode <> 'p' AND (id = $1 OR (kind, value) = ($2, $3))
RETURNING kind, value
"""  # noqa: S608 - our own condition
_FINISH: Final = f"""
UPDATE jobs.hold h
SET ended_at = statement_timestamp(), ended_by = made_by, ended_why = 'all it kept was let out'
WHERE {_STANDS} AND id = $1 AND mode = 'r'
    AND NOT EXISTS (SELECT FROM jobs.waiting w WHERE w.hold = h.id)
RETURNING 1
"""  # noqa: S608 - our own condition


class PostgresHolds(PostgresBreaking):
    """`AllHolds` in the ledger's database, which every worker reads."""

    async def open(self) -> list[Hold]:
        """Every open hold, the oldest first."""
        async with self._pool.connection(Priority.HIGH) as connection:
            rows = await connection.fetch(OPEN)
        return [hold_of(row) for row in rows]

    async def hold(
        self, kind: HoldKind, value: str, by: str, because: str, until: int | None = None
    ) -> Hold:
        """Hold it; where it is held already the first hold stands, and ends at the later end."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_END_BY_TIME, kind, value)
            row = await connection.fetchrow(_HOLD, kind, value, because, by, instant(until))
            await write_note(connection, Note(OperationKind.HOLD, by, because, f"{kind} {value}"))
        assert row is not None  # noqa: S101 - it was inserted or updated
        return hold_of(row)

    async def release(
        self, hold: int | tuple[HoldKind, str], by: str, because: str, rate: int | None = None
    ) -> bool:
        """End a hold, or every hold of a thing, at once or at a rate."""
        named = (hold, None, None) if isinstance(hold, int) else (None, *hold)
        async with self._pool.connection() as connection, connection.transaction():
            if rate is None:
                rows = await connection.fetch(_RELEASE, *named, by, because)
            else:
                rows = await connection.fetch(_RELEASE_AT_RATE, *named, rate)
            for kind, value in rows:
                subject = released(kind, value, rate)
                await write_note(connection, Note(OperationKind.RELEASE, by, because, subject))
        return bool(rows)

    async def finish(self, hold: int) -> bool:
        """End one that is released at a rate, if nothing waits for it any more."""
        async with self._pool.connection() as connection:
            return await connection.fetchval(_FINISH, hold) is not None
