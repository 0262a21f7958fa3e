"""How soon is a job explained, and the whole seen, while a million jobs wait and many are worked?

`pytest -m long -s tests/benchmarks/test_asking.py` prints the figures; nothing is asserted of them.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from processor import Client, Priority, Settings, Submission
from processor.adapters.avro import AvroCodec
from processor.bootstrap.projecting import projecting
from processor.bootstrap.topics import create_topics
from processor.bootstrap.viewing import overseeing
from processor.domain.ids import entity_key, partition_of
from processor.domain.submission import SubmissionRecord
from processor.local.stack import Stack
from tests.commands import Commands, variables_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]

PARTITIONS = 12
WAITING = 1_000_000
ENDED = 1_000_000
TIMES = 30
FLOOD = 400_000
FLOOD_SECONDS = 10.0
FLOODED = """
from processor import Jobs, Request

jobs = Jobs()


@jobs.handler("flood")
async def flood(request: Request[None]) -> None: ...
"""
CODEC = AvroCodec()

LOAD = """
INSERT INTO jobs.waiting (job, generation, partition, entity_key, state, holds, serve, lane, place,
    due_at, hold, since, revision, attempt, runs, faults, token, submission, body)
SELECT gen_random_uuid(), 1, n % 12,
    CASE WHEN state = 'q' THEN -1 - n % 10000 ELSE -1000000 - n END,
    state::"char", state IN ('h', 'r'), 2, 2, n,
    CASE WHEN state IN ('r', 's') THEN now() + interval '1 day' END,
    CASE WHEN state = 'h' THEN $2::bigint END, now(), 1, 1, 1, 0, gen_random_uuid(),
    decode(repeat('ab', 400), 'hex'), NULL
FROM (
    SELECT n, ($3::text[])[n % 10 + 1] AS state FROM generate_series(1, $1::integer) AS n
) AS numbered
"""
MIXED = ["q", "q", "q", "q", "q", "q", "h", "h", "r", "s"]
"""How a million wait, in tenths."""
ASLEEP = ["h", "h", "h", "h", "h", "h", "h", "h", "r", "s"]
"""The same, of which no worker runs any."""
LOAD_LEDGER = """
INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, ended_at, body)
SELECT gen_random_uuid(), 1, 'c', n % 12, 2, n,
    clock_timestamp() - interval '1 hour' + n * interval '1 millisecond',
    decode(repeat('ab', 200), 'hex')
FROM generate_series(1, $1::integer) AS n
"""
QUEUE = """
INSERT INTO jobs.waiting (job, generation, partition, entity_key, state, holds, serve, lane, place,
    due_at, hold, since, revision, attempt, runs, faults, token, submission, body)
SELECT coalesce(u.job, gen_random_uuid()), 1, $2, $3, u.state::"char", u.state <> 'q', 2, 2,
    u.place,
    CASE WHEN u.state = 'r' THEN now() + interval '1 day' END, u.hold, now(), 1, 1, 1, 0,
    gen_random_uuid(), $1, NULL
FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::bigint[]) AS u (job, state, place, hold)
"""
HOLD = """
INSERT INTO jobs.hold (kind, value, mode, why, made_by)
VALUES ('type', 'held', 'h', 'it is measured', 'the benchmark') RETURNING id
"""


def say(what: str, seconds: list[float]) -> None:
    told = [1000 * one for one in sorted(seconds)]
    print(  # noqa: T201
        f"{what}: median {statistics.median(told):.1f} ms, highest {told[-1]:.1f} ms,"
        f" {len(told)} times"
    )


async def timed(what: str, ask: Callable[[], Awaitable[object]], times: int = TIMES) -> object:
    """Ask once for the connections, and then so many times."""
    found = await ask()
    lasted = []
    for _ in range(times):
        began = time.monotonic()
        found = await ask()
        lasted.append(time.monotonic() - began)
    say(what, lasted)
    return found


@pytest.fixture
async def run(stack: Stack, database: str, namespace: str, tmp_path: Path) -> Commands:
    made = Commands(variables_of(stack, database, namespace, PARTITIONS), tmp_path)
    await create_topics(made.settings)
    return made


@asynccontextmanager
async def loaded(
    settings: Settings, states: list[str]
) -> AsyncIterator[tuple[asyncpg.Connection[asyncpg.Record], int]]:
    """The database with a million rows in either table, and the hold of a part of them."""
    connection = await asyncpg.connect(settings.need_database())
    try:
        hold = await connection.fetchval(HOLD)
        await connection.execute(LOAD, WAITING, hold, states, timeout=600)
        await connection.execute(LOAD_LEDGER, ENDED, timeout=600)
        # What the server does by itself within a minute of their growing.
        await connection.execute("SELECT brin_summarize_new_values('jobs.ledger_ended')")
        await connection.execute("VACUUM ANALYZE jobs.waiting, jobs.ledger", timeout=600)
        yield connection, hold
    finally:
        await connection.close()


async def test_a_job_is_explained_while_a_million_wait(run: Commands) -> None:
    settings = run.settings
    async with (
        loaded(settings, MIXED) as (connection, hold),
        projecting(settings),
        Client.connect(settings) as client,
    ):
        jobs = await client.submit(
            [Submission("behind", entity="E") for _ in range(3)]
            + [Submission("held", entity="H"), Submission("unread", entity="U")]
        )
        first, second, last, held, unread = jobs
        record = SubmissionRecord(first, "behind", b"null", "E", Priority.NORMAL, 1)
        places = itertools.count(1)
        queue = [first, *[None] * 20_000, last]
        states = ["r", *["q"] * (len(queue) - 1)]
        for entity, rows, kinds, holds in (
            ("E", queue, states, [None] * len(queue)),
            ("H", [held], ["h"], [hold]),
        ):
            await connection.execute(
                QUEUE,
                CODEC.encode_submission(record),
                partition_of(entity, PARTITIONS),
                entity_key(None, entity),
                rows,
                kinds,
                [next(places) for _ in rows],
                holds,
            )
        for job, what in (
            (first, "the head, which retries"),
            (last, "behind its entity's head and 20,000 others"),
            (second, "of the same entity, unread in its lane"),
            (held, "held, with 200,000 others"),
            (unread, "unread in its lane, of another entity"),
        ):
            found = await timed(f"explained, {what}", partial(client.explain, job))
            print(f"    {found.sentence}")  # type: ignore[attr-defined] # noqa: T201


async def test_the_whole_is_seen_while_a_million_wait_and_during_a_flood(run: Commands) -> None:
    (run.folder / "flooded.py").write_text(FLOODED)
    settings = run.settings
    async with (
        loaded(settings, ASLEEP),
        overseeing(settings) as overseer,
        Client.connect(settings) as client,
    ):
        await timed("seen, while a million wait", overseer.look)
        await client.submit((Submission("flood") for _ in range(FLOOD)), timeout=60)
        with run.serving("worker", "flooded:jobs"), run.serving("projector"):
            await _rate(settings, None)
            for looked in (False, True, False, True):
                await _rate(settings, overseer.look if looked else None)
            await timed("seen, during a flood", overseer.look)


async def _rate(settings: Settings, look: Callable[[], Awaitable[object]] | None) -> None:
    """How many jobs a second end, with somebody who looks every second, or nobody."""
    connection = await asyncpg.connect(settings.need_database())
    ended = "SELECT coalesce(sum(critical + high + normal + low), 0)::bigint FROM jobs.ownership"
    try:
        before, began = await connection.fetchval(ended), time.monotonic()
        while time.monotonic() - began < FLOOD_SECONDS:
            if look is not None:
                await look()
            await asyncio.sleep(1.0)
        done = await connection.fetchval(ended) - before
    finally:
        await connection.close()
    who = "seen every second" if look is not None else "seen by nobody"
    print(f"{who}: {done / (time.monotonic() - began):,.0f} jobs/s")  # noqa: T201
