"""Does every lane get its share, and does nothing below or beside a job keep it waiting?

On the real stack, through client and worker; what is counted is the order in which handlers start.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from processor import Client, Jobs, Priority, Request, Submission, Worker
from processor.domain.priority import LANES, WEIGHTS
from processor.runtime import announcing
from tests.commands import Commands
from tests.inside import told, working

pytestmark = pytest.mark.timeout(240)

CRITICAL, HIGH, NORMAL, LOW = LANES
DISPATCHES = 15_000
BACKLOG = 18_000
"""So many jobs are there when a worker starts, in the lanes' own proportion."""


async def test_a_batch_shares_its_id_and_each_priority_counts_by_itself(ready: Commands) -> None:
    seen: dict[str, tuple[UUID | None, Priority]] = {}
    jobs = Jobs()

    @jobs.handler("noted")
    async def noted(request: Request[str]) -> None:
        seen[request.payload] = (request.batch_id, request.cluster.lane)

    async with working(ready.settings, jobs) as client:
        named = [Submission("noted", lane.label, priority=lane) for lane in LANES]
        first = await client.submit([*named, Submission("noted", "unnamed")], priority=Priority.LOW)
        second = await client.submit([Submission("noted", "second")])
        alone = await client.submit(Submission("noted", "alone"), priority=Priority.HIGH)
        for job in (*first, *second, alone):
            await client.result(job, timeout=60)
        statuses = [await client.status(job) for job in (*first, *second, alone)]
        (shown,) = await told(ready, "status", str(first[0]))
    batch, other = statuses[0].batch, statuses[-2].batch
    assert None not in (batch, other)
    assert batch != other
    lanes = [*LANES, LOW, NORMAL, HIGH]
    assert [(one.batch, one.current.lane) for one in statuses] == list(
        zip([*[batch] * 5, other, None], lanes, strict=True)
    )
    assert [seen[word] for word in [*(lane.label for lane in LANES), "unnamed"]] == list(
        zip([batch] * 5, lanes[:5], strict=True)
    )
    assert (seen["second"], seen["alone"]) == ((other, NORMAL), (None, HIGH))
    assert (shown["batch"], shown["lane"]) == (str(batch), "critical")


@pytest.mark.parametrize(
    ("longest", "connects"),
    [
        pytest.param(0.0, False, id="of no length", marks=pytest.mark.long),
        pytest.param(0.005, False, id="of many lengths"),
        pytest.param(0.0, True, id="with a transaction", marks=pytest.mark.long),
    ],
)
async def test_lanes_have_the_shares_8_4_2_1_of_15_000_dispatches_within_a_tenth(
    ready: Commands,
    longest: float,
    connects: bool,  # noqa: FBT001 - a parameter of the test
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(7)
    started: list[Priority] = []
    over = asyncio.Event()
    jobs = Jobs()

    @jobs.handler("counted")
    async def counted(request: Request[None]) -> None:
        if connects:
            await (await request.connection()).fetchval("SELECT 1")
        started.append(request.cluster.lane)
        if len(started) == BACKLOG:
            over.set()
        if longest:
            await asyncio.sleep(chance.random() * longest)

    async with Client.connect(ready.settings) as client:
        for lane, weight in zip(LANES, WEIGHTS, strict=True):
            count = BACKLOG * weight // sum(WEIGHTS)
            await client.submit(Submission("counted", priority=lane) for _ in range(count))
    async with Worker(jobs, ready.settings):
        await over.wait()
    window = while_all_are_ready(started)
    shares = Counter(window)
    record_property("dispatches", {lane.label: shares[lane] for lane in LANES})
    assert len(window) >= DISPATCHES
    for lane, weight in zip(LANES, WEIGHTS, strict=True):
        share = shares[lane] * sum(WEIGHTS) / len(window)
        assert share == pytest.approx(weight, rel=0.1), shares


def while_all_are_ready(started: list[Priority]) -> list[Priority]:
    """From the first start of the last lane to come, to the last start of the first to go."""
    begin = max(started.index(lane) for lane in LANES)
    end = min(len(started) - started[::-1].index(lane) for lane in LANES)
    return started[begin:end]


class Standing:
    """Jobs that stand still, by lane, until a test lets them go on."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.by_lane: Counter[Priority] = Counter()
        self.go_on = asyncio.Event()
        self._changed = asyncio.Condition()
        self.jobs.register("alone", self._alone)
        self.jobs.register("with a connection", self._with_a_connection)

    async def until(self, lane: Priority, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.by_lane[lane] >= count)

    async def _alone(self, request: Request[None]) -> None:
        async with self._changed:
            self.by_lane[request.cluster.lane] += 1
            self._changed.notify_all()
        await self.go_on.wait()

    async def _with_a_connection(self, request: Request[None]) -> None:
        await request.connection()
        await self._alone(request)


@pytest.mark.parametrize(("type_", "low"), [("alone", 5), ("with a connection", 2)])
async def test_with_every_free_slot_full_of_low_jobs_a_critical_one_starts_at_once(
    ready: Commands, type_: str, low: int
) -> None:
    # Each lane leaves a slot, and a connection, to each lane above it. (The server ends what
    # stands idle in a transaction; a long session keeps that far off.)
    settings = replace(ready.settings, slots=8, connections=5, session_timeout=30.0)
    standing = Standing()
    async with Worker(standing.jobs, settings), Client.connect(settings) as client:
        for lane, most in ((LOW, low), (NORMAL, 1), (HIGH, 1)):
            await client.submit([Submission(type_) for _ in range(20)], priority=lane)
            await standing.until(lane, most)
        await client.submit(Submission(type_, priority=CRITICAL))
        await standing.until(CRITICAL, 1)
        # Nothing has ended yet, and no lane has more than may be: it was its own slot.
        assert standing.by_lane == {LOW: low, NORMAL: 1, HIGH: 1, CRITICAL: 1}
        standing.go_on.set()
        await standing.until(LOW, 20)


OTHERS = pytest.mark.parametrize(
    ("others", "long_after"),
    [
        pytest.param(2_000, 500_000, id="half a second"),
        pytest.param(100_000, announcing.LONG, id="half a minute", marks=pytest.mark.long),
    ],
)


@OTHERS
@pytest.mark.parametrize("partitions", [1])
async def test_a_job_that_runs_long_lets_all_others_of_its_partition_through(
    ready: Commands, others: int, long_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "LONG", long_after)
    jobs, go_on, through = Jobs(), asyncio.Event(), asyncio.Event()
    ended = 0

    @jobs.handler("long", timeout=1_000)
    async def long(_: Request[None]) -> str:
        await go_on.wait()
        return "at last"

    @jobs.handler("short")
    async def short(_: Request[None]) -> None:
        nonlocal ended
        ended += 1
        if ended == others:
            through.set()

    database = await asyncpg.connect(ready.settings.need_database())
    try:
        async with Client.connect(ready.settings) as client, Worker(jobs, ready.settings):
            job = await client.submit(long.submission(None))
            await client.submit(short.submission(None) for _ in range(others))
            await through.wait()
            await until(database, "SELECT normal FROM jobs.ownership", others + 1)
            await until(database, "SELECT count(*) FROM jobs.ledger", others)
            (row,) = await database.fetch("SELECT job, state::text FROM jobs.waiting")
            assert tuple(row) == (job, "u")
            go_on.set()
            await until(database, "SELECT count(*) FROM jobs.waiting", 0)
        end = "SELECT count(*) FROM jobs.ledger WHERE job = $1 AND outcome = 'c'"
        assert await database.fetchval(end, job) == 1
        assert ended == others
    finally:
        await database.close()


async def until(database: asyncpg.Connection, query: str, answer: object) -> None:
    """Ask until that is the answer; the test's own time-out ends it."""
    while await database.fetchval(query) != answer:  # noqa: ASYNC110 - another task moves it
        await asyncio.sleep(0.02)
