"""How does the breaker of a type hold, probe and release it, as rows of `jobs.hold`?

Every statement decides by itself, by the database's clock: a lease that ran out is anybody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.breaker import NAME, BreakerChanged, BreakerState
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.ports.holds import Hold, HoldKind, HoldMode

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    import asyncpg

    from processor.adapters.postgres.pool import Pool

COLUMNS: Final = (
    "id, kind, value, release, why, made_by, made_at, until, mode::text AS mode, failed_probes,"
    " probe_by, probe_until, probe_until <= statement_timestamp() AS probe_due, rate"
)
_TRIP: Final = f"""
INSERT INTO jobs.hold AS h (kind, value, release, mode, why, made_by, probe_until, told)
VALUES ('type', $1, $2, 'p', $3, '{NAME}', statement_timestamp() + make_interval(secs => $4), 0)
ON CONFLICT (kind, value, release) WHERE ended_at IS NULL DO UPDATE SET
    mode = 'p',
    why = CASE WHEN h.mode = 'p' THEN h.why ELSE excluded.why END,
    probe_until = CASE WHEN h.mode = 'p' THEN h.probe_until ELSE excluded.probe_until END
RETURNING {COLUMNS}
"""  # noqa: S608 - names of columns
_PROBE: Final = """
UPDATE jobs.hold
SET probe_by = $2, probe_until = statement_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND mode = 'p' AND ended_at IS NULL
    AND (probe_by = $2 OR probe_until <= statement_timestamp())
RETURNING 1
"""
_SUCCEEDED: Final = f"""
UPDATE jobs.hold
SET ended_at = statement_timestamp(), ended_by = '{NAME}', ended_why = 'a probe succeeded',
    probe_by = NULL, probe_until = NULL
WHERE id = $1 AND probe_by = $2 AND mode = 'p' AND ended_at IS NULL
RETURNING 1
"""  # noqa: S608 - a word of ours
_FAILED: Final = """
UPDATE jobs.hold
SET probe_by = NULL, probe_until = statement_timestamp() + make_interval(secs => $3),
    failed_probes = least(failed_probes + 1, 32767)
WHERE id = $1 AND probe_by = $2 AND mode = 'p' AND ended_at IS NULL
RETURNING 1
"""
_FORSAKE: Final = f"""
UPDATE jobs.hold h
SET ended_at = statement_timestamp(), ended_by = '{NAME}',
    ended_why = 'no worker of its release is left'
WHERE mode = 'p' AND ended_at IS NULL AND NOT EXISTS (
    SELECT FROM jobs.worker w
    WHERE w.release = h.release AND w.beat_at > clock_timestamp() - interval '1 minute'
)
RETURNING 1
"""  # noqa: S608 - a word of ours
_UNTOLD: Final = """
SELECT id, value, release, why, made_by, made_at, told, ended_at, ended_by, ended_why
FROM jobs.hold WHERE told < 1 + (ended_at IS NOT NULL)::integer ORDER BY id LIMIT $1
"""
_TOLD: Final = """
UPDATE jobs.hold SET told = greatest(hold.told, u.told)
FROM unnest($1::bigint[], $2::smallint[]) AS u (id, told) WHERE hold.id = u.id
"""
_COUNT: Final = {BreakerState.OPEN: 1, BreakerState.CLOSED: 2}


class PostgresBreaking:
    """`Breaking` and `BreakerNews` over a pool of connections for our own statements."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def trip(self, type_: str, release: str, because: str, wait: float) -> Hold:
        """See `Breaking`."""
        async with self._pool.connection(Priority.HIGH) as connection:
            row = await connection.fetchrow(_TRIP, type_, release, because, wait)
        assert row is not None  # noqa: S101 - it was inserted or updated
        return hold_of(row)

    async def probe(self, hold: int, worker: UUID, lease: float) -> bool:
        """See `Breaking`."""
        async with self._pool.connection(Priority.HIGH) as connection:
            return bool(await connection.fetchval(_PROBE, hold, worker, lease))

    async def pass_on(self, hold: int, worker: UUID, wait: float | None) -> bool:
        """See `Breaking`."""
        async with self._pool.connection(Priority.HIGH) as connection:
            if wait is None:
                return bool(await connection.fetchval(_SUCCEEDED, hold, worker))
            return bool(await connection.fetchval(_FAILED, hold, worker, wait))

    async def forsake(self) -> int:
        """See `Breaking`."""
        async with self._pool.connection(Priority.LOW) as connection:
            return len(await connection.fetch(_FORSAKE))

    async def untold(self, limit: int) -> list[BreakerChanged]:
        """See `BreakerNews`."""
        async with self._pool.connection(Priority.LOW) as connection:
            rows = await connection.fetch(_UNTOLD, limit)
        return [change for row in rows for change in _changes(row)]

    async def told(self, news: Collection[BreakerChanged]) -> None:
        """See `BreakerNews`."""
        counted: dict[int, int] = {}
        for one in news:
            counted[one.hold] = max(counted.get(one.hold, 0), _COUNT[one.state])
        async with self._pool.connection(Priority.LOW) as connection:
            await connection.execute(_TOLD, list(counted), list(counted.values()))


def hold_of(row: asyncpg.Record) -> Hold:
    """An open hold, as its columns say."""
    return Hold(
        id=row["id"],
        kind=HoldKind(row["kind"]),
        value=row["value"],
        release=row["release"],
        why=row["why"],
        by=row["made_by"],
        since=microseconds(row["made_at"]),
        until=None if row["until"] is None else microseconds(row["until"]),
        mode=HoldMode(row["mode"]),
        failed_probes=row["failed_probes"],
        probe_by=row["probe_by"],
        probe_at=None if row["probe_until"] is None else microseconds(row["probe_until"]),
        probe_due=bool(row["probe_due"]),
        rate=row["rate"],
    )


def _changes(row: asyncpg.Record) -> list[BreakerChanged]:
    opened = BreakerChanged(
        state=BreakerState.OPEN,
        type=row["value"],
        release=row["release"],
        hold=row["id"],
        because=row["why"],
        by=row["made_by"],
        at=microseconds(row["made_at"]),
        opened_at=microseconds(row["made_at"]),
    )
    changes = [opened] if row["told"] < _COUNT[BreakerState.OPEN] else []
    if row["ended_at"] is not None:
        changes.append(
            BreakerChanged(
                state=BreakerState.CLOSED,
                type=opened.type,
                release=opened.release,
                hold=opened.hold,
                because=row["ended_why"] or "",
                by=row["ended_by"] or "",
                at=microseconds(row["ended_at"]),
                opened_at=opened.opened_at,
            )
        )
    return changes
