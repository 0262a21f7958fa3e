"""What stands about one job, in one snapshot, over the tables that workers write?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.breaking import hold_of
from processor.adapters.postgres.holds import OPEN
from processor.adapters.postgres.ownership import OWNERS, owner_of
from processor.adapters.postgres.waiting_rows import COLUMNS, SETTLED, waiting_of
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.ports.ledger import Ending
from processor.ports.situations import COUNTED, LATELY, LiveWorker, Lock, Recorded, Seat, Situation

if TYPE_CHECKING:
    from typing import Any

    from processor.adapters.postgres.pool import Pool
    from processor.domain.ids import JobId

_ROW: Final = f"""
SELECT {COLUMNS} FROM jobs.waiting w WHERE w.job = $1 ORDER BY w.generation DESC LIMIT 1
"""  # noqa: S608 - names of columns
_END: Final = """
SELECT partition, lane, at_offset, body FROM jobs.ledger WHERE job = $1
ORDER BY generation DESC LIMIT 1
"""
_ROWS: Final = f"""
(SELECT {COLUMNS} FROM jobs.waiting w WHERE w.job = $1 ORDER BY w.generation DESC LIMIT 1)
UNION ALL
SELECT {COLUMNS} FROM jobs.waiting w
WHERE w.entity_key = $2 AND w.holds AND w.job <> $1 AND NOT {SETTLED}
"""  # noqa: S608 - names of columns
WORKERS: Final = """
SELECT id, release, types, leaving, started_at,
    extract(epoch FROM clock_timestamp() - beat_at)::float AS silent
FROM jobs.worker ORDER BY started_at
"""
# `statement_timestamp`, since no index is asked for a time that may change from row to row.
_FACTS: Final = f"""
SELECT clock_timestamp() AS now, ending.*, earlier.*, lately.*, lock.*
FROM (
    SELECT count(*) AS before FROM (
        SELECT FROM jobs.waiting w
        WHERE w.partition = $2 AND w.entity_key = $4 AND w.state = 'q' AND w.job <> $1
            AND (w.lane, w.place) < ($3, $5) AND NOT {SETTLED}
        LIMIT {COUNTED}
    ) AS queued
) AS earlier
CROSS JOIN (
    SELECT count(*) AS ended_lately FROM jobs.ledger
    WHERE ended_at > statement_timestamp() - interval '{LATELY} seconds'
        AND (partition, lane) = ($2, $3)
) AS lately
LEFT JOIN LATERAL (
    SELECT generation, outcome::text AS outcome FROM jobs.ledger WHERE job = $1
    ORDER BY generation DESC LIMIT 1
) AS ending ON true
LEFT JOIN LATERAL (
    SELECT l.pid, a.application_name, a.xact_start, a.state LIKE 'idle in%' AS idle
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32 | l.objid::bigint) = $4
    LIMIT 1
) AS lock ON true
"""  # noqa: S608 - numbers of ours


class PostgresSituations:
    """`Situations` in the ledger's database. Each statement finds its rows by an index."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def seat(self, job: JobId) -> Seat | None:
        """Where a waiting job's row says that it sits; None where none waits."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_ROW, job)
        if row is None:
            return None
        return Seat(row["partition"], Priority(row["lane"]), row["entity_key"], row["place"])

    async def recorded(self, job: JobId) -> Recorded | None:
        """A job of which no history tells, as it waits or has ended; None where neither is so."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_ROW, job)
            end = await connection.fetchrow(_END, job)
        if row is not None:
            seat = Seat(row["partition"], Priority(row["lane"]), row["entity_key"], row["place"])
            return Recorded(seat, row["submission"], None)
        if end is None:
            return None
        partition, lane, offset, body = end
        return Recorded(Seat(partition, Priority(lane), 0, offset), None, body)

    async def of(self, job: JobId, seat: Seat) -> Situation:
        """Everything that decides whether the job may run."""
        partition, lane, key, place = seat
        async with (
            self._pool.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            facts = await connection.fetchrow(_FACTS, job, partition, lane, key, place)
            rows = await connection.fetch(_ROWS, job, key)
            owner = await connection.fetchrow(OWNERS, [partition])
            workers = await connection.fetch(WORKERS)
            holds = await connection.fetch(OPEN)
        assert facts is not None  # noqa: S101 - aggregates have a row
        waiting = [waiting_of(row) for row in rows]
        ended = facts["generation"]
        return Situation(
            now=microseconds(facts["now"]),
            row=next((one for one in waiting if one.wait.job == job), None),
            ending=None if ended is None else (ended, Ending(facts["outcome"])),
            head=next((one for one in waiting if one.wait.job != job), None),
            before=facts["before"],
            owner=None if owner is None else owner_of(owner),
            workers=tuple(worker_of(one) for one in workers),
            holds=tuple(hold_of(one) for one in holds),
            lock=None if facts["pid"] is None else _lock(facts),
            ended_lately=facts["ended_lately"],
        )


def worker_of(row: Any) -> LiveWorker:  # noqa: ANN401 - a record of asyncpg's
    """A worker, as its columns say."""
    return LiveWorker(
        row["id"], row["release"], frozenset(row["types"]), row["leaving"], row["silent"]
    )


def _lock(row: Any) -> Lock:  # noqa: ANN401 - a record of asyncpg's
    since = row["xact_start"]
    return Lock(
        row["pid"],
        row["application_name"] or "",
        0 if since is None else microseconds(since),
        bool(row["idle"]),
    )
