"""Does each invariant of a chaos run find what it is there to find, and nothing in a sound run?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from processor.adapters.avro import AvroCodec
from processor.chaos.checking import prepare
from processor.chaos.invariants import When, invariants
from processor.chaos.rows import Rows, rows_of_fact, rows_of_failure, rows_of_lane, rows_of_told
from processor.domain.dead_letter import died, job_failed
from processor.domain.events import Completed, ErrorDetail, Failed, Reason, Retrying, Started
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.domain.topics import Topics

CODEC = AvroCodec()
TOPICS = Topics("jobs")
LANE = Priority.NORMAL
FIRST, SECOND, FAILED, STRANGER = (JobId(UUID(int=number)) for number in range(1, 5))
STARTED = Started(1, 1, 1, "host/1/a", "r", 0, LANE)
ERROR = ErrorDetail(Reason.HANDLER_FAILED, "RuntimeError", "it fails")
TYPES = {FIRST: "effect", SECOND: "effect", FAILED: "fails"}


class Record(NamedTuple):
    """A record as the client gives it."""

    topic: str
    partition: int
    offset: int
    value: bytes


def outcome(job: JobId, offset: int) -> Outcome:
    end = Failed(2, 1, Reason.HANDLER_FAILED, ERROR) if job == FAILED else Completed(2, b"1")
    return Outcome(job, 1, 1, TYPES[job], "e", None, LANE, 0, offset, (STARTED, end))


def submission(job: JobId, parent: JobId | None = None) -> bytes:
    type_ = TYPES.get(job, "effect")
    return CODEC.encode_submission(SubmissionRecord(job, type_, b"1", "e", LANE, 1, parent=parent))


OUTCOMES = {job: outcome(job, offset) for offset, job in enumerate(TYPES)}
BODIES = {job: CODEC.encode_outcome(one) for job, one in OUTCOMES.items()}
DIED = died(OUTCOMES[FAILED], None, TOPICS.lane(LANE))
NEWS = job_failed(OUTCOMES[FAILED])


def records(topic: str, values: Sequence[bytes], first: int = 0) -> list[Record]:
    return [Record(topic, 0, first + at, value) for at, value in enumerate(values)]


def lane(*values: bytes, first: int = 0) -> Rows:
    return rows_of_lane(CODEC, LANE, records(TOPICS.lane(LANE), values, first), lambda _: STRANGER)


def told(*values: bytes, first: int = 0) -> Rows:
    return rows_of_told(CODEC)(records(TOPICS.events, values, first))


async def write(connection: asyncpg.Connection[Any], rows: Rows) -> None:
    for table, lines in rows.items():
        await connection.copy_records_to_table(
            table.name, schema_name="chaos", columns=table.columns, records=lines
        )


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Two jobs that are complete and one that failed, of one entity, at the end of their run."""
    one = await asyncpg.connect(database)
    await prepare(one)
    await one.execute(OWNED)
    await one.execute(LETTER, FAILED, dead_letter_id(FAILED, 1))
    for job, body in BODIES.items():
        ending, offset = (b"f" if job == FAILED else b"c"), OUTCOMES[job].offset
        await one.execute(
            "INSERT INTO jobs.ledger VALUES ($1, 1, $2, 0, 2, $3, DEFAULT, $4)",
            *(job, ending, offset, body),
        )
        await one.execute(
            "INSERT INTO jobs.history VALUES ($1, 1, 0, -2, 0, $2, now(), NULL, ''),"
            " ($1, 1, 1, 2, 0, $2, now(), now(), $3)",
            *(job, offset, body),
        )
    await one.execute(
        "INSERT INTO chaos.effect VALUES ('e', 1, $1, 1, 2, 0, 'w'), ('e', 2, $2, 1, 2, 0, 'w')",
        *(FIRST, SECOND),
    )
    await write(one, lane(*map(submission, TYPES)))
    await write(one, told(*BODIES.values(), BODIES[FIRST]))
    assert DIED is not None
    assert NEWS is not None
    fact, news = CODEC.encode_dead_letter(DIED), CODEC.encode_job_failed(NEWS)
    await write(one, rows_of_fact(CODEC)(records(TOPICS.dead_letters, [fact, fact])))
    await write(one, rows_of_failure(CODEC)(records(TOPICS.failed, [news, news])))
    yield one
    await one.close()


OWNED = """
INSERT INTO jobs.ownership (partition, token, released, normal)
VALUES (0, '00000000-0000-0000-0000-000000000009', false, 3)
ON CONFLICT (partition) DO UPDATE SET token = excluded.token, released = false, normal = 3;
CREATE TEMP TABLE position
    (lane smallint, partition smallint, next bigint, begins bigint, ends bigint);
INSERT INTO position VALUES (2, 0, 3, 0, 3);
INSERT INTO jobs.checkpoint VALUES ('history', 'jobs.normal', 0, 3)
ON CONFLICT (projection, topic, partition) DO UPDATE SET next = 3;
INSERT INTO chaos.copied VALUES ('jobs.normal', 0, 3);
"""
LETTER = """
INSERT INTO jobs.dead_letter
    (job, generation, id, died_at, type, place, partition, first_fact, last_fact)
VALUES ($1, 1, $2, now(), 'fails', '', 0, 0, 0)
"""


async def broken(
    connection: asyncpg.Connection[Any], when: When = When.AFTERWARDS
) -> dict[str, list[str]]:
    """What every invariant comes back with, where it comes back with anything."""
    found = {
        one.name: [line for (line,) in await connection.fetch(one.query)]
        for one in invariants()
        if one.when in (When.DURING, when)
    }
    return {name: lines for name, lines in found.items() if lines}


async def test_a_sound_run_breaks_nothing(connection: asyncpg.Connection[Any]) -> None:
    assert await broken(connection) == {}


def changed(job: JobId, **fields: Any) -> bytes:  # noqa: ANN401 - any field
    return CODEC.encode_outcome(replace(OUTCOMES[job], **fields))


OTHER = changed(FIRST, events=(STARTED, Completed(3, b"2")))
WITH_CHILD = changed(FIRST, follow_ups=(submission(STRANGER, FIRST),))
TWICE = changed(FIRST, events=(replace(STARTED, attempt=2), Completed(2, b"1")))
GAP = changed(FIRST, events=(replace(STARTED, run=2), Completed(2, b"1")))
EARLY = changed(
    FIRST,
    events=(
        STARTED,
        Retrying(2, 1, ERROR, 1_000),
        replace(STARTED, at=900, attempt=2, run=2),
        Completed(2_000, b"1"),
    ),
)
LOST = changed(FIRST, events=(Failed(2, 1, Reason.WORKER_LOST, ERROR),))
IDLED = changed(FIRST, events=(STARTED, Failed(2, 1, Reason.HANDLER_FAILED, ERROR)))

A, B, F, S = (f"'{job}'" for job in (FIRST, SECOND, FAILED, STRANGER))
ROW = (
    "INSERT INTO jobs.waiting (job, generation, partition, entity_key, state, holds, serve, lane,"
    " place, since, revision, attempt, runs, faults, token, submission) VALUES"
    " ({job}, 1, 0, 7, 'q', {holds}, 2, 2, 0, now(), 1, 0, 0, 0,"
    " '00000000-0000-0000-0000-00000000000{token}', '')"
)
TOLD_BY_ONE = "UPDATE chaos.told SET retried_at = '2000-01-01', last_at = '2100-01-01' WHERE job = "
SPOILT: dict[str, str | Rows] = {
    "01-once: twice": f"INSERT INTO chaos.effect VALUES ('e', 3, {A}, 1, 2, 0, 'w')",
    "01-once: a gap": "UPDATE chaos.effect SET seq = 3 WHERE seq = 2",
    "02-effect-and-end: no effect": f"DELETE FROM chaos.effect WHERE job = {B}",
    "02-effect-and-end: of a failure": (
        f"INSERT INTO chaos.effect VALUES ('e', 3, {F}, 1, 2, 0, 'w')"
    ),
    "03-not-lost": f"DELETE FROM jobs.ledger WHERE job = {B}",
    "03-acknowledged: in no lane": f"INSERT INTO chaos.acked VALUES ({S})",
    "03-acknowledged: no end": f"DELETE FROM jobs.ledger WHERE job = {B}",
    "04-done-is-published": f"DELETE FROM chaos.told WHERE job = {A}",
    "04-done-is-published: otherwise": f"UPDATE chaos.told SET digest = '' WHERE job = {A}",
    "04-everything-published": f"DELETE FROM chaos.told WHERE job = {F}",
    "05-published-is-durable": told(OTHER, first=10),
    "05-published-is-durable: strange": told(b"strange", first=10),
    "06-order": "UPDATE chaos.lane_record SET at_offset = 7 WHERE at_offset = 0",
    "06-effects-have-records": f"UPDATE chaos.effect SET lane = 3 WHERE job = {A}",
    "07-one-head": (
        "DROP INDEX jobs.waiting_head; "
        + ROW.format(job=A, holds=True, token=9)
        + "; "
        + ROW.format(job=B, holds=True, token=9)
    ),
    "07-not-overtaken": TOLD_BY_ONE + A,
    "08-fence": ROW.format(job=A, holds=False, token=8),
    "08-fence: written again": (
        ROW.format(job=A, holds=False, token=9)
        + "; UPDATE jobs.ownership SET token = gen_random_uuid() WHERE partition = 0"
        + "; UPDATE jobs.waiting SET revision = 2"
    ),
    "09-no-orphan": ROW.format(job=A, holds=False, token=9),
    "10-history: no beginning": f"DELETE FROM jobs.history WHERE job = {A} AND upto < 0",
    "10-history: no end": f"DELETE FROM jobs.history WHERE job = {A} AND upto > 0",
    "10-history: two ends": (
        "INSERT INTO jobs.history SELECT job, generation, timeline, 3, partition, at_offset, at,"
        f" ended_at, body FROM jobs.history WHERE job = {A} AND upto > 0"
    ),
    "10-history: another end": f"UPDATE jobs.history SET body = '' WHERE job = {A} AND upto > 0",
    "10-history: a gap": f"UPDATE jobs.history SET upto = 1 WHERE job = {A} AND upto > 0",
    "10-history: runs": told(GAP, first=10),
    "11-attempts: too many": told(TWICE, first=10),
    "11-attempts: too early": told(EARLY, first=10),
    "11-attempts: consumed": told(IDLED, first=10),
    "12-dead-letters: never died": "DELETE FROM chaos.fact",
    "12-dead-letters: died twice": "UPDATE chaos.fact SET digest = '' WHERE at_offset = 0",
    "12-dead-letters: died without": f"DELETE FROM jobs.ledger WHERE job = {F}",
    "12-dead-letters: closed": "UPDATE jobs.dead_letter SET closed = 'r'",
    "12-dead-letters: open": "UPDATE chaos.fact SET kind = 'replayed' WHERE at_offset = 1",
    "12-dead-letters: not told": "DELETE FROM chaos.job_failed",
    "12-dead-letters: told twice": "UPDATE chaos.job_failed SET digest = '' WHERE at_offset = 0",
    "13-follow-ups: not sent": told(WITH_CHILD, first=10),
    "13-follow-ups: of none": lane(submission(STRANGER, SECOND), first=3),
    "13-follow-ups: of a failure": lane(submission(STRANGER, FAILED), first=3),
    "14-cancels: otherwise": f"INSERT INTO chaos.cancelled VALUES ({A}, 1, 'cancelled', true)",
    "14-cancels: nothing": f"INSERT INTO chaos.cancelled VALUES ({S}, 1, 'cancelled', true)",
    "14-cancels: an effect": f"UPDATE jobs.ledger SET outcome = 'x' WHERE job = {A}",
    "14-cancels: two won": (
        f"INSERT INTO chaos.cancelled VALUES ({A}, 1, 'complete', true), ({A}, 1, 'complete', true)"
    ),
    "15-forgetting": "UPDATE position SET begins = 4",
    "16-worker-lost": told(LOST, first=10),
    "17-positions": "UPDATE position SET next = 2",
    "17-positions: a checkpoint": "UPDATE jobs.checkpoint SET next = 2",
}


def test_every_invariant_is_broken_by_somebody() -> None:
    assert {one.name for one in invariants()} == {what.partition(":")[0] for what in SPOILT}


async def test_a_spoilt_run_is_found_out_by_the_invariant_for_it(
    connection: asyncpg.Connection[Any],
) -> None:
    for what, spoiling in SPOILT.items():
        spoilt = connection.transaction()
        await spoilt.start()
        if isinstance(spoiling, str):
            await connection.execute(spoiling)
        else:
            await write(connection, spoiling)
        assert what.partition(":")[0] in await broken(connection), what
        await spoilt.rollback()
    assert await broken(connection) == {}


async def test_what_the_positions_have_not_passed_may_be_without_an_end_in_the_middle_of_a_run(
    connection: asyncpg.Connection[Any],
) -> None:
    await connection.execute("UPDATE position SET next = 1")
    await connection.execute("DELETE FROM jobs.ledger WHERE at_offset > 0")
    await connection.execute("DELETE FROM chaos.effect WHERE seq > 1")
    assert await broken(connection, When.DURING) == {}
    await connection.execute("UPDATE position SET next = 2")
    assert list(await broken(connection, When.DURING)) == ["03-not-lost"]


async def test_what_waits_durably_may_be_passed_and_not_be_published(
    connection: asyncpg.Connection[Any],
) -> None:
    await connection.execute(ROW.format(job=B, holds=True, token=9))
    await connection.execute(f"DELETE FROM chaos.told WHERE job = {B}")
    assert await broken(connection, When.DURING) == {}
    await connection.execute(f"DELETE FROM jobs.ledger WHERE job = {B}")
    await connection.execute(f"DELETE FROM chaos.effect WHERE job = {B}")
    assert await broken(connection, When.DURING) == {}
