"""Does a dead letter's replay keep its job's id, its history and its entity's order?

Whoever replays, however often at once, and however late: the one test about the twenty days moves
the clock of everything that runs in its process.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import BaseModel
from tenacity import wait_fixed

from processor import (
    AlreadyFinished,
    Caller,
    Client,
    JobId,
    JobNotFound,
    Jobs,
    JobStatus,
    Priority,
    Request,
    Retry,
    State,
    Submission,
)
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.cutting import KafkaCutting
from processor.bootstrap.pruning import pruner
from processor.bootstrap.tidying import janitor
from processor.bootstrap.topics import create_topics
from processor.domain.events import Failed, Queued, Reason, Retrying, Started
from processor.domain.horizon import DAY
from processor.domain.ids import dead_letter_id
from processor.local.stack import Stack
from processor.ports.log import Place
from processor.ports.projection import Closing
from processor.settings import Settings
from projections.pruner import Pruner
from tests.commands import Commands, variables_of
from tests.moved_clock import MovedClock
from tests.together import Together, events, life, together

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

MINUTE = 60 * 1_000_000
DIED = ["Queued", "Started", "Retrying", "Started", "Failed"]
COMPLETED = ["Queued", "Started", "Completed"]


class Application:
    """Handlers that fail before a generation, and say which runs did their work."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.done: list[tuple[JobId, int]] = []
        self.requests: list[Request[int]] = []
        again = Retry(attempts=2, wait=wait_fixed(0.05))
        self.jobs.register("dies", self.dies_before, retry=again)
        self.jobs.register("blocks", self.dies_before, retry=replace(again, on_exhausted="block"))
        self.jobs.register("works", self.works)

    async def dies_before(self, request: Request[int]) -> int:
        """Fail in every generation before the one that the payload names."""
        self.requests.append(request)
        if request.cluster.generation < request.payload:
            raise RuntimeError(f"generation {request.cluster.generation}, {request.attempt}")
        return await self.works(request)

    async def works(self, request: Request[Any]) -> int:
        self.done.append((request.job_id, request.cluster.generation))
        return request.cluster.generation

    def runs(self, job: JobId) -> list[int]:
        """In which generations a job did its work."""
        return [generation for done, generation in self.done if done == job]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_run: Commands) -> AsyncIterator[tuple[Together, Application]]:
    application = Application()
    async with together(shared_run.settings, application.jobs) as of:
        yield of, application


@pytest_asyncio.fixture(loop_scope="module")
async def of(shared: tuple[Together, Application]) -> Together:
    return shared[0]


@pytest_asyncio.fixture(loop_scope="module")
async def application(shared: tuple[Together, Application]) -> Application:
    shared[1].done.clear()
    shared[1].requests.clear()
    return shared[1]


async def submit(of: Together, type_: str, payload: object = None, **fields: Any) -> JobId:  # noqa: ANN401 - any field
    return await of.client.submit(Submission(type_, payload, **fields))


async def dead(of: Together, *jobs: JobId, generation: int = 1) -> UUID:
    """Return when their letters are there; the id of the last."""
    for job in jobs:
        assert (await of.ended(job, generation)).state is State.FAILED
        await of.letter(job, generation)
    return dead_letter_id(jobs[-1], generation)


async def passed(of: Together, entity: str) -> None:
    """Return when everything has run that stands in the lane of an entity now."""
    await of.ended(await submit(of, "works", entity=entity))


def lives(*words: list[str]) -> list[tuple[int, str]]:
    return [(generation, word) for generation, line in enumerate(words, 1) for word in line]


async def test_a_replay_keeps_the_id_and_the_whole_history_over_three_generations(
    of: Together, application: Application
) -> None:
    caller = Caller(user="ann", request_id="r1")
    job = await submit(of, "dies", 3, entity="N1", tenant="acme", caller=caller)
    first = await dead(of, job)
    assert await of.client.replay(first, by="ada", because="the gate is open") == job
    second = await dead(of, job, generation=2)
    assert await of.client.replay(second, by="bob", because="now it is") == job
    status = await of.ended(job, 3)
    assert (status.state, status.job_id, status.entity) == (State.COMPLETE, job, "N1")
    assert life(status) == lives(DIED, DIED, COMPLETED)
    assert await of.client.result(job) == 3
    queued = [one.event for one in status.history if isinstance(one.event, Queued)]
    assert [one.replay and (one.replay.actor, one.replay.because) for one in queued] == [
        None,
        ("ada", "the gate is open"),
        ("bob", "now it is"),
    ]
    assert [one.replay and one.replay.dead_letter for one in queued] == [None, first, second]
    errors = [one for one in events(status) if isinstance(one, Retrying | Failed)]
    assert [one.error.message for one in errors] == [
        f"generation {generation}, {attempt}" for generation in (1, 2) for attempt in (1, 2)
    ]
    for request in application.requests:
        assert (request.tenant, request.caller, request.payload) == ("acme", caller, 3)
    keys = [request.idempotency_key for request in application.requests]
    assert keys == [f"{job}-{generation}" for generation in (1, 1, 2, 2, 3)]
    letters = [await of.letter(job, generation) for generation in (1, 2)]
    assert [one.closed for one in letters] == [Closing.REPLAYED] * 2


async def test_two_operators_at_once_make_one_generation_and_the_second_is_told_who_was_first(
    of: Together, application: Application, shared_run: Commands
) -> None:
    job, other = await submit(of, "dies", 2, entity="N2"), await submit(of, "dies", 2, entity="N2")
    letter, others = await dead(of, job), await dead(of, other)
    words = ("dead-letters", "replay", str(letter), "--because", "it is open", "--json")
    processes = [shared_run.start(*words, "--by", who) for who in ("ada", "bob")]
    outs = await asyncio.gather(*(asyncio.to_thread(one.communicate) for one in processes))
    told = [json.loads(out) for out, _ in outs]
    assert [(UUID(one["job"]), one["generation"]) for one in told] == [(job, 2)] * 2
    assert sorted(one["ours"] for one in told) == [False, True]
    (winner,) = (who for who, one in zip(("ada", "bob"), told, strict=True) if one["ours"])
    assert {one["first"]["by"] for one in told} == {winner}
    async with Client.connect(of.settings) as second:
        asked = await asyncio.gather(
            *(one.replay(others, by="ada") for one in (of.client, second) for _ in range(5))
        )
    assert set(asked) == {other}
    await of.ended(job, 2)
    await of.ended(other, 2)
    await passed(of, "N2")
    for one in (job, other):
        assert application.runs(one) == [2]
        assert life(await of.client.status(one)) == lives(DIED, COMPLETED)


async def test_a_letter_that_was_replayed_stays_so_whatever_became_of_its_job(
    of: Together, application: Application
) -> None:
    job = await submit(of, "dies", 3, entity="N3")
    first = await dead(of, job)
    await of.client.replay(first, by="ada")
    second = await dead(of, job, generation=2)
    assert await of.client.replay(first, by="bob") == job
    with pytest.raises(AlreadyFinished, match="was replayed by ada"):
        await of.client.discard(first, by="bob")
    await passed(of, "N3")
    assert life(await of.client.status(job)) == lives(DIED, DIED)
    await of.client.replay(second, by="bob")
    await of.ended(job, 3)
    assert await of.client.replay(first) == await of.client.replay(second) == job
    await passed(of, "N3")
    status = await of.client.status(job)
    assert (status.state, application.runs(job)) == (State.COMPLETE, [3])
    assert life(status) == lives(DIED, DIED, COMPLETED)


async def test_a_discarded_letter_is_closed_and_a_replay_undoes_that(
    of: Together, application: Application
) -> None:
    job = await submit(of, "dies", 3, entity="N4")
    letter = await dead(of, job)
    assert await of.client.discard(letter, by="ada", because="not wanted") == job
    assert await of.client.discard(letter, by="bob") == job
    async with asyncio.timeout(60):
        while not (status := await of.client.status(job)).current.discarded:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    assert (status.state, status.generation) == (State.FAILED, 1)
    assert life(status) == [*lives(DIED), (2, "Discarded")]
    assert events(status)[-1].actor == "ada"
    assert await of.client.replay(letter, by="bob", because="wanted after all") == job
    status = await of.ended(job, 3)
    assert (status.state, application.runs(job)) == (State.COMPLETE, [3])
    assert life(status) == [*lives(DIED), (2, "Discarded"), *((3, word) for word in COMPLETED)]


async def test_what_waits_behind_a_blocking_job_keeps_its_order_over_its_replays(
    of: Together, application: Application
) -> None:
    job = await submit(of, "blocks", 3, entity="N5")
    await dead(of, job)
    behind: dict[JobId, tuple[Priority, int]] = {}

    async def arrive() -> None:
        for lane in reversed(Priority):
            one = await submit(of, "works", entity="N5", priority=lane)
            behind[one] = (lane, len(behind))
        await of.waiting(1 + len(behind))

    await arrive()
    await of.client.replay(dead_letter_id(job, 1), by="ada")
    await dead(of, job, generation=2)
    await arrive()
    assert application.done == []
    async with Client.connect(of.settings) as second:
        letter = dead_letter_id(job, 2)
        await asyncio.gather(of.client.replay(letter, by="ada"), second.replay(letter, by="bob"))
    for one in (job, *behind):
        await of.ended(one, 3 if one == job else 1)
    await of.waiting(0)
    in_order = sorted(behind, key=lambda one: behind[one])
    assert application.done == [(job, 3), *((one, 1) for one in in_order)]
    assert life(await of.client.status(job)) == lives(DIED, DIED, COMPLETED)


class Flight(BaseModel):
    """What the first release expects."""

    minutes: int


class Landing(BaseModel):
    """What the second does."""

    air_time: int


async def test_after_a_deploy_a_replay_runs_by_the_new_handler_or_waits_for_one(
    stack: Stack, database: str, namespace: str, tmp_path: Path
) -> None:
    settings = Commands(variables_of(stack, database, namespace, 1), tmp_path).settings
    await create_topics(settings)
    first, second = Jobs(), Jobs()

    @first.handler("landed")
    async def expects_minutes(request: Request[Flight]) -> int:
        return request.payload.minutes

    @first.handler("dropped", retry=Retry(attempts=1))
    async def breaks(_: Request[None]) -> None:
        raise RuntimeError("the first release's")

    @second.handler("landed")
    async def expects_air_time(request: Request[Landing]) -> int:
        return request.payload.air_time

    @second.handler("unknown")
    async def works(request: Request[None]) -> str:
        return request.cluster.release

    of_first = replace(settings, release="first", handler_grace=0.5)
    async with together(of_first, first) as of:
        landed = await submit(of, "landed", {"air_time": 227})
        unknown = await submit(of, "unknown")
        dropped = await submit(of, "dropped", entity="N1")
        await dead(of, landed, unknown, dropped)
        reasons = [(await of.letter(job)).died.reason for job in (landed, unknown, dropped)]
    assert reasons == [Reason.PARSE_ERROR, Reason.HANDLER_MISSING, Reason.HANDLER_FAILED]
    async with together(replace(settings, release="second"), second) as of:
        for job in (landed, unknown, dropped):
            assert await of.client.replay(dead_letter_id(job, 1), by="ada") == job
        assert await of.client.result(landed, timeout=60) == 227
        assert await of.client.result(unknown, timeout=60) == "second"
        await of.waiting(1)
        status = await of.client.status(dropped)
        assert (status.state, status.generation, status.attempts) == (State.QUEUED, 2, 0)
        second.register("dropped", works)
        assert await of.client.result(dropped, timeout=60) == "second"
        statuses = [await of.client.status(job) for job in (landed, unknown, dropped)]
    assert [releases(status) for status in statuses] == [
        ["first", "second"],
        ["second"],
        ["first", "second"],
    ]


def releases(status: JobStatus) -> list[str]:
    return [one.release for one in events(status) if isinstance(one, Started)]


class Days:
    """The clock of a whole process, set ahead; janitor and pruner look once a day."""

    def __init__(self, settings: Settings, held: AsyncExitStack) -> None:
        self.ahead = 0
        self.settings = settings
        self._janitor = janitor(settings, MovedClock(), held)
        self._pruner = pruner(settings, MovedClock(), held)

    def now(self) -> int:
        return time.time_ns() // 1_000 + self.ahead

    async def until(self, moment: int) -> None:
        """Let the days pass."""
        while self.ahead < moment:
            self.ahead = min(moment, self.ahead + DAY)
            await self._janitor.tidy()
            await pruned(self._pruner)

    async def bounds(self) -> dict[str, tuple[int, int]]:
        """Where each topic begins and ends; they have one partition."""
        topics = self.settings.topics
        names = (*topics.lanes, topics.events, topics.dead_letters)
        cutting = KafkaCutting(self.settings.need_kafka())
        found = await cutting.bounds([Place(topic, 0) for topic in names])
        return {place.topic: bounds for place, bounds in found.items()}


async def pruned(cleaner: Pruner) -> None:
    """A round in which the letters were known as far as they are told."""
    while not (await cleaner.prune()).whole:  # noqa: ASYNC110 - the projector works on it
        await asyncio.sleep(0.02)


async def kept(days: Days, of: Together, blocked: JobId) -> None:
    """After pruning: the dead-letter topic, and what of the ledger a waiting row needs."""
    found, topics = await days.bounds(), of.settings.topics
    assert found.pop(topics.dead_letters)[0] == 0
    assert {topic: start for topic, (start, _) in found.items()} == {
        topic: end for topic, (_, end) in found.items()
    }
    rows = await of.database.fetch("SELECT DISTINCT job FROM jobs.ledger")
    assert [UUID(int=row["job"].int) for row in rows] == [blocked]


@pytest_asyncio.fixture(loop_scope="module")
async def days(
    stack: Stack, database: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Days]:
    settings = Commands(variables_of(stack, database, namespace, 1), tmp_path).settings
    await create_topics(settings)
    async with AsyncExitStack() as held:
        days = Days(settings, held)
        monkeypatch.setattr(SystemClock, "now", lambda _: days.now())
        yield days


async def test_on_the_twentieth_day_after_pruning_a_replay_still_has_id_history_and_order(
    days: Days,
) -> None:
    application = Application()
    async with together(days.settings, application.jobs) as of:
        oldest = await submit(of, "dies", 99, entity="N1")  # whose letter is open all the time
        await dead(of, oldest)
        job, quick = await submit(of, "dies", 3, entity="N2"), await submit(of, "dies", 2)
        stuck = await submit(of, "blocks", 2, entity="N3")
        behind = [await submit(of, "works", entity="N3") for _ in range(3)]
        await dead(of, job, quick, stuck)
        await of.waiting(4)
        await of.client.replay(dead_letter_id(quick, 1), by="ada", because="on the first day")
        await of.ended(quick, 2)
        await days.until(3 * DAY)
        await of.client.replay(dead_letter_id(job, 1), by="ada", because="on the third day")
        await dead(of, job, generation=2)

        whole, letter = await of.client.status(job), await of.letter(job, 2)
        assert letter.died.submission is not None
        await days.until(23 * DAY)
        assert (await of.client.status(job), await of.letter(job, 2)) == (whole, letter)
        await kept(days, of, stuck)
        await of.client.replay(dead_letter_id(job, 2), by="bob", because="on the twentieth")
        await of.client.replay(dead_letter_id(stuck, 1), by="bob")
        status = await of.ended(job, 3)
        assert (status.state, status.job_id) == (State.COMPLETE, job)
        assert life(status) == lives(DIED, DIED, COMPLETED)
        assert status.history[: len(whole.history)] == whole.history
        for one in (stuck, *behind):
            await of.ended(one, 2 if one == stuck else 1)
        of_entity = [(one, n) for one, n in application.done if one in (stuck, *behind)]
        assert of_entity == [(stuck, 2), *((one, 1) for one in behind)]

        # What was replayed, has ended and is forgotten does not come back to life.
        async with Client.connect(days.settings) as other:
            with pytest.raises(JobNotFound):
                await other.status(quick)
        assert await of.client.replay(dead_letter_id(quick, 1), by="bob") == quick
        await passed(of, str(quick))
        assert application.runs(quick) == [2]

        ended = days.ahead
        async with Client.connect(days.settings) as other:
            await days.until(ended + 7 * DAY - MINUTE)
            assert life(await other.status(job)) == life(status)
            await days.until(ended + 7 * DAY + MINUTE)
            with pytest.raises(JobNotFound):
                await other.status(job)
            assert life(await other.status(oldest)) == lives(DIED)
