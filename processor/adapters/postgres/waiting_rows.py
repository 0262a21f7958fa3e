"""How does a row of `jobs.waiting` become a value, and its times what PostgreSQL can hold?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from processor.domain.ids import JobId
from processor.domain.instants import date_of, microseconds
from processor.domain.priority import Priority
from processor.ports.waiting_room import LONGEST, Wait, Waiting, WaitingState

if TYPE_CHECKING:
    import asyncpg

COLUMNS: Final = """
w.job, w.generation, w.partition, w.entity_key, w.state::text AS state, w.holds, w.lane, w.place,
w.due_at, w.hold, w.since, w.revision, w.attempt, w.runs, w.faults, w.submission, w.body
"""
SETTLED: Final = """
EXISTS (
    SELECT FROM jobs.ledger l
    WHERE l.job = w.job
        AND (l.generation >= w.generation + (w.state = 'b')::integer OR l.outcome NOT IN ('f', 'd'))
    OFFSET 0
)
"""
"""`jobs.settled_v1` of a row `w`, spelled out so that it costs no call; OFFSET 0 keeps it a look-up
by key, however small the ledger was when the plan was made."""
LATEST: Final = microseconds(datetime(9999, 1, 1, tzinfo=UTC))
"""What a producer may ask for has no bound, a timestamp has."""


def instant(due_at: int | None) -> datetime | None:
    """A time in microseconds since the epoch, at most that of the year 9999."""
    if due_at is None:
        return None
    return date_of(min(max(due_at, 0), LATEST))


def delay(due_in: float | None) -> timedelta | None:
    """A number of seconds from now, from none to a hundred years."""
    return None if due_in is None else timedelta(seconds=min(max(0.0, due_in), LONGEST))


def waiting_of(row: asyncpg.Record) -> Waiting:
    """What the columns of `COLUMNS` say."""
    wait = Wait(
        job=JobId(row["job"]),
        generation=row["generation"],
        entity_key=row["entity_key"],
        state=WaitingState(row["state"]),
        lane=Priority(row["lane"]),
        place=row["place"],
        submission=row["submission"],
        holds=row["holds"],
        due_at=None if row["due_at"] is None else microseconds(row["due_at"]),
        hold=row["hold"],
        attempt=row["attempt"],
        runs=row["runs"],
        faults=row["faults"],
        body=row["body"],
    )
    return Waiting(wait, row["partition"], row["revision"], microseconds(row["since"]))
