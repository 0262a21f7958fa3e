"""Is what is over forgotten in time, and nothing that is unread, waiting or dead?

On the real stack, with real workers and projectors; the clocks of janitor and pruner are moved.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tenacity import wait_fixed

from processor import (
    Client,
    Jobs,
    Priority,
    Reject,
    Request,
    Retry,
    State,
    Submission,
    Worker,
)
from processor.adapters.kafka.cutting import KafkaCutting
from processor.bootstrap.projecting import projecting
from processor.bootstrap.pruning import pruner
from processor.bootstrap.tidying import janitor
from processor.domain.errors import JobNotFound
from processor.domain.horizon import DAY
from processor.domain.ids import JobId, dead_letter_id, partition_of
from processor.local.stack import Stack
from processor.ports.log import Place
from projections.pruner import Pruner
from tests.commands import Commands, commands
from tests.inside import told, when
from tests.moved_clock import MovedClock

pytestmark = pytest.mark.timeout(240)

PARTITIONS = 2
MINUTE = 60 * 1_000_000
DAY_SECONDS = DAY / 1_000_000
ENDS = {State.COMPLETE, State.FAILED, State.CANCELLED}


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("counted")
    async def counted(request: Request[int]) -> int:
        return request.payload + 1

    @jobs.handler("refused")
    async def refused(request: Request[int]) -> None:
        if request.cluster.generation == 1:
            raise Reject("not in this life")

    @jobs.handler("fails", retry=Retry(attempts=2, wait=wait_fixed(60 * DAY_SECONDS)))
    async def fails(_: Request[int]) -> None:
        raise RuntimeError("again in sixty days")

    jobs.register("blocks", refused.function, retry=Retry(attempts=1, on_exhausted="block"))
    return jobs


async def waiting_jobs(client: Client, run: Commands) -> dict[State, list[JobId]]:
    """Jobs that wait for something else than their turn, by what they read as."""
    due = datetime.now(UTC) + timedelta(days=60)
    submissions = {
        "scheduled": Submission("counted", 1, not_before=due),
        "retrying": Submission("fails", 1),
        "held": Submission("counted", 1, entity="held"),
        "blocking": Submission("blocks", 1, entity="blocked"),
        "behind": Submission("counted", 1, entity="blocked"),
    }
    ids = await client.submit(list(submissions.values()), priority=Priority.HIGH)
    jobs = dict(zip(submissions, ids, strict=True))
    waits = "SELECT count(*) FROM jobs.waiting"
    while await count(run, waits) < len(jobs):  # noqa: ASYNC110 - the worker works on it
        await asyncio.sleep(0.02)
    await when(client, jobs["retrying"], lambda status: status.state is State.RETRYING)
    await when(client, jobs["blocking"], lambda status: status.state is State.FAILED)
    return {
        State.SCHEDULED: [jobs["scheduled"]],
        State.RETRYING: [jobs["retrying"]],
        State.QUEUED: [jobs["held"], jobs["behind"]],
        State.FAILED: [jobs["blocking"]],
    }


async def go_on(client: Client, run: Commands, waiting: dict[State, list[JobId]]) -> None:
    """Let what waits come to its end, one way or another."""
    await told(run, "release", "entity", "held", "--because", "it was long")
    await client.replay(dead_letter_id(waiting[State.FAILED][0], 1))
    for job in (*waiting[State.SCHEDULED], *waiting[State.RETRYING]):
        assert (await client.cancel(job)).now is State.CANCELLED
    for job in (*waiting[State.FAILED], *waiting[State.QUEUED]):
        await client.result(job, timeout=60)


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path, PARTITIONS) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


async def done(client: Client, jobs: list[JobId]) -> None:
    """Wait until each of these has ended."""
    for job in jobs:
        while (await client.status(job)).state not in ENDS:  # noqa: ASYNC110 - others work on it
            await asyncio.sleep(0.02)


async def count(run: Commands, query: str, *arguments: object) -> Any:  # noqa: ANN401 - any value
    connection = await asyncpg.connect(run.variables["JOBS_DATABASE"])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def bounds(run: Commands) -> dict[str, tuple[int, int]]:
    """Of each topic how many records were cut, and how many were ever appended."""
    topics = run.settings.topics
    places = [
        Place(topic, number)
        for topic in (*topics.lanes, topics.events, topics.dead_letters)
        for number in range(PARTITIONS)
    ]
    found = await KafkaCutting(run.settings.need_kafka()).bounds(places)
    return {
        topic: (
            sum(start for place, (start, _) in found.items() if place.topic == topic),
            sum(end for place, (_, end) in found.items() if place.topic == topic),
        )
        for topic in {place.topic for place in places}
    }


async def test_history_goes_7_days_after_the_end_and_nothing_unread_waiting_or_dead_is_forgotten(
    run: Commands,
) -> None:
    settings, clock = run.settings, MovedClock()
    topics = settings.topics
    async with AsyncExitStack() as held:
        await held.enter_async_context(projecting(settings))
        client = await held.enter_async_context(Client.connect(settings))
        await told(run, "hold", "entity", "held", "--because", "for long")
        async with Worker(application(), settings):
            ended = await client.submit([Submission("counted", n) for n in range(40)])
            dead = await client.submit(Submission("refused", 1))
            waiting = await waiting_jobs(client, run)
            await done(client, [*ended, dead])
        unread = await client.submit(Submission("counted", 41))
        assert (await client.status(unread)).state is State.QUEUED
        cleaner, keeper = pruner(settings, clock, held), janitor(settings, clock, held)
        whole = await client.status(dead)

        # A minute before the seven days are over everything is there; a minute after it is gone.
        clock.ahead = 7 * DAY - MINUTE
        await pruned(cleaner)
        assert (await client.status(ended[0])).state is State.COMPLETE
        assert (await keeper.tidy()).pruned == 0
        clock.ahead = 7 * DAY + MINUTE
        await pruned(cleaner)
        await assert_forgotten(run, ended)

        for day in range(8, 30):
            clock.ahead = day * DAY
            await keeper.tidy()
            await pruned(cleaner)
        assert await client.status(dead) == whole
        for state, jobs in waiting.items():
            for job in jobs:
                assert (await client.status(job)).state is state
        assert (await client.status(unread)).state is State.QUEUED
        found = await bounds(run)
        assert found[topics.dead_letters] == (0, 2)
        assert found[topics.events] == (found[topics.events][1],) * 2
        # What waits in the waiting room needs its lane no more; what is unread does.
        assert found[topics.lane(Priority.HIGH)] == (5, 5)
        assert found[topics.lane(Priority.NORMAL)] == (41, 42)
        # The unread record may be a duplicate of whatever ended in its partition.
        here = partition_of(str(unread), PARTITIONS)
        # So is the end of what blocks, which its own row in the waiting room asks for.
        held_back = "SELECT array_agg(DISTINCT partition) FROM jobs.ledger WHERE job <> $1"
        assert await count(run, held_back, *waiting[State.FAILED]) == [here]
        assert await count(run, "SELECT count(*) FROM jobs.waiting") == 5

        async with Worker(application(), settings):
            await done(client, [unread])
            assert await client.result(unread) == 42
            await go_on(client, run, waiting)
            await client.replay(dead_letter_id(dead, 1))
            assert await client.result(dead, timeout=60) is None
        await keeper.tidy()
        assert await count(run, "SELECT count(*) FROM jobs.ledger") == 0
        assert await count(run, "SELECT count(*) FROM jobs.waiting") == 0
        await pruned(cleaner)
        await assert_forgotten(run, [dead, unread, *(one for of in waiting.values() for one in of)])


async def assert_forgotten(run: Commands, jobs: list[JobId]) -> None:
    async with Client.connect(run.settings) as other:  # one who did not submit them himself
        for job in jobs:
            with pytest.raises(JobNotFound):
                await other.status(job)


async def pruned(cleaner: Pruner) -> None:
    assert (await cleaner.prune()).whole


async def test_a_duplicate_that_is_read_a_month_later_still_meets_the_first_end(
    run: Commands,
) -> None:
    settings, clock, payloads = run.settings, MovedClock(), list[int]()
    jobs = Jobs()

    @jobs.handler("noted")
    async def noted(request: Request[int]) -> int:
        payloads.append(request.payload)
        return request.payload

    def submission(payload: int) -> Submission:
        return Submission("noted", payload, entity="e", dedupe_key="once")

    async with AsyncExitStack() as held:
        await held.enter_async_context(projecting(settings))
        client = await held.enter_async_context(Client.connect(settings))
        keeper = janitor(settings, clock, held)
        async with Worker(jobs, settings):
            job = await client.submit(submission(1))
            await done(client, [job])
        assert await client.submit(submission(2)) == job
        clock.ahead = 30 * DAY
        assert (await keeper.tidy()).pruned == 0
        async with Worker(jobs, settings):
            last = await client.submit(Submission("noted", 3, entity="e"))
            await done(client, [last])
        assert payloads == [1, 3]
        assert (await keeper.tidy()).pruned == 2
        # Beyond the window the key begins anew.
        async with Worker(jobs, settings):
            assert await client.submit(submission(4)) == job
            while payloads[-1] != 4:  # noqa: ASYNC110 - the worker works on it
                await asyncio.sleep(0.02)


async def test_worker_and_projector_forget_by_themselves(run: Commands) -> None:
    settings = run.settings
    async with projecting(settings), Worker(application(), settings):
        while not await count(run, "SELECT count(*) FROM jobs.horizon"):  # noqa: ASYNC110 - others
            await asyncio.sleep(0.05)
