"""Is a job cancelled in whatever state it is, and has it one end whatever the cancel races?

On the real stack, through the public face; what came of it is read from ledger, journal and history
without any code of the line itself.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest
from tenacity import wait_fixed

from processor import (
    Client,
    JobId,
    JobNotFound,
    Jobs,
    JobStatus,
    Priority,
    Reject,
    Request,
    Retry,
    Settings,
    State,
    Submission,
    Worker,
)
from processor.bootstrap.operating import holding
from processor.bootstrap.projecting import projecting
from processor.domain.events import Cancelled
from processor.domain.ids import dead_letter_id
from processor.ports.holds import HoldKind
from processor.runtime import announcing
from processor.runtime.cancelling import Cancellation
from tests import chaos
from tests.chaos import Work
from tests.commands import Commands
from tests.evidence import Evidence, gather
from tests.inside import when
from tests.telemetry import Collected, collecting
from tests.violations import (
    AFTERWARDS,
    attempts_beyond,
    cancelled_otherwise,
    not_submitted,
    short_positions,
    unprojected,
)

pytestmark = pytest.mark.timeout(240)

ONCE = Retry(attempts=1)
BLOCKS = Retry(attempts=1, on_exhausted="block")
ATTEMPTS = 3
WORK = Work(number=0)
LOOK_AHEAD = 100
"""So few jobs of an entity fill their lane that the others spill."""
WAITING = 'SELECT count(*) FROM jobs.waiting WHERE job = $1 AND state = $2::"char"'


class Line:
    """A client and what it was answered, a table for effects, and what is counted."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        database: asyncpg.Connection,
        collected: Collected,
    ) -> None:
        self.settings = settings
        self.client = client
        self.database = database
        self.collected = collected
        self.acked: list[JobId] = []
        self.answers: list[Cancellation] = []

    async def submit(
        self, type_: str, entity: str | None = None, not_before: datetime | None = None
    ) -> JobId:
        submission = Submission(type_, WORK.model_dump(), entity=entity, not_before=not_before)
        job = await self.client.submit(submission)
        self.acked.append(job)
        return job

    async def cancel(self, job: JobId, who: str = "ada") -> Cancellation:
        answer = await self.client.cancel(job, by=who, because="not wanted")
        self.answers.append(answer)
        return answer

    async def cancelled(self, job: JobId, was: State) -> JobStatus:
        """Cancel it, again, and hear each time what it was; its status once that tells of it."""
        first, again = await self.cancel(job), await self.cancel(job, "bob")
        assert (first.was, first.now, first.ours) == (was, State.CANCELLED, True)
        assert (again.was, again.now, again.ours) == (State.CANCELLED, State.CANCELLED, False)
        status = await when(self.client, job, lambda status: status.state is State.CANCELLED)
        last = [one.event for one in status.history if not one.void][-1]
        assert isinstance(last, Cancelled)
        assert (last.actor, last.because) == ("ada", "not wanted")
        return status

    async def stays(self, job: JobId, what: State) -> None:
        """Cancel it, and hear that it has ended; nothing changes."""
        before = await when(self.client, job, lambda status: status.state is what)
        for who in ("ada", "bob"):
            answer = await self.cancel(job, who)
            assert (answer.was, answer.now, answer.ours) == (what, what, False)
        assert (await self.client.status(job)).history == before.history

    async def goes_on(self, entity: str | None = None) -> None:
        """Return when a job of the entity has come through, behind everything before it."""
        await self.client.result(await self.submit("works", entity), timeout=60)

    async def waits(self, job: JobId, state: str) -> None:
        while not await self.database.fetchval(WAITING, job, state.encode()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def at_rest(self) -> Evidence:
        """What there is, once every record is done and projected and nothing waits."""
        kafka, namespace = self.settings.need_kafka(), self.settings.namespace
        while True:
            seen = await gather(self.settings.need_database(), kafka, namespace)
            if not (seen.tables.waiting or short_positions(seen) or unprojected(seen)):
                return seen
            await asyncio.sleep(0.1)

    async def check(self) -> Counter[str]:
        """One end of every generation, everywhere the same; how many ended in which way."""
        seen = await self.at_rest()
        broken = [line for check in AFTERWARDS for line in check(seen)]
        broken += not_submitted(seen, self.acked)
        broken += attempts_beyond(seen, ATTEMPTS)
        broken += cancelled_otherwise(seen, self.answers)
        assert broken == [], broken[:20]
        ends = Counter(row.ending for row in seen.tables.ledger.values())
        counted = {"c": "completed", "f": "failures", "x": "cancellations"}
        for ending, name in counted.items():
            assert self.collected.total(f"job.{name}_total") == ends[ending], name
        return ends


@asynccontextmanager
async def lined_up(settings: Settings) -> AsyncIterator[Line]:
    """A client beside a projector; no worker yet."""
    database = await asyncpg.connect(settings.need_database())
    try:
        await database.execute(chaos.TABLE)
        with collecting() as collected:
            async with projecting(settings), Client.connect(settings) as client:
                yield Line(settings, client, database, collected)
    finally:
        await database.close()


class Handlers:
    """What a cancelled job may be in the middle of."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.ran: list[JobId] = []
        self.began: dict[JobId, asyncio.Event] = defaultdict(asyncio.Event)
        self.may_end = asyncio.Event()
        self.stopped: list[JobId] = []
        self.thread_runs, self.thread_may_end = threading.Event(), threading.Event()
        self.jobs.register("works", self.works)
        self.jobs.register("held", self.works)
        self.jobs.register("writes", self.writes, timeout=1_000)
        self.jobs.register("thread", self.runs_in_a_thread)
        self.jobs.register("retries", self.fails, retry=Retry(attempts=9, wait=wait_fixed(3_600)))
        self.jobs.register("skips", self.fails, retry=ONCE)
        self.jobs.register("blocks", self.fails, retry=BLOCKS)

    async def works(self, request: Request[Work]) -> None:
        self.ran.append(request.job_id)

    async def writes(self, request: Request[Work]) -> None:
        await chaos.write_effect(request)
        self.began[request.job_id].set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped.append(request.job_id)
            raise
        raise Reject("so that no effect is left")

    def runs_in_a_thread(self, _: Request[Work]) -> str:
        self.thread_runs.set()
        self.thread_may_end.wait()
        return "too late"

    async def fails(self, request: Request[Work]) -> None:
        self.ran.append(request.job_id)
        raise RuntimeError("it fails")


@pytest.mark.parametrize("partitions", [1])
async def test_cancel_in_each_state_answers_what_it_was_and_leaves_one_end(
    ready: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, handlers = replace(ready.settings, look_ahead=LOOK_AHEAD), Handlers()
    never: list[JobId] = []
    async with lined_up(settings) as line:
        unread = await line.submit("works", "unread")
        await line.cancelled(unread, State.QUEUED)
        never.append(unread)
        async with holding(settings) as holds:
            await holds.hold(HoldKind.TYPE, "held", "ada", "why")
        async with Worker(handlers.jobs, settings):
            await line.goes_on("unread")
            never += await _what_waits(line)
            await _what_runs(line, handlers, monkeypatch)
            never += await _what_stands_behind(line, handlers)
            await _what_has_ended(line)
            with pytest.raises(JobNotFound):
                await line.client.cancel(JobId(uuid4()))
            ends = await line.check()
    assert not set(never) & set(handlers.ran)
    assert ends["x"] == sum(answer.ours for answer in line.answers) == 11


async def _what_waits(line: Line) -> list[JobId]:
    """Scheduled, retrying, behind a head, held by an operator, or by a missing handler."""
    later = datetime.now(UTC) + timedelta(hours=1)
    scheduled = await line.submit("works", "scheduled", not_before=later)
    await line.waits(scheduled, "s")
    await line.cancelled(scheduled, State.SCHEDULED)

    retrying = await line.submit("retries", "retrying")
    await line.waits(retrying, "r")
    behind = await line.submit("works", "retrying")
    await line.waits(behind, "q")
    await when(line.client, retrying, lambda status: status.state is State.RETRYING)
    await line.cancelled(behind, State.QUEUED)
    status = await line.cancelled(retrying, State.RETRYING)
    words = [type(one.event).__name__ for one in status.history]
    assert words == ["Queued", "Started", "Retrying", "Cancelled"]
    await line.goes_on("retrying")

    held = [await line.submit(type_, type_) for type_ in ("held", "missing")]
    for type_, job in zip(("held", "missing"), held, strict=True):
        await line.waits(job, "h")
        await line.cancelled(job, State.QUEUED)
        await line.goes_on(type_)
    return [scheduled, behind, *held]


async def _what_runs(line: Line, handlers: Handlers, patch: pytest.MonkeyPatch) -> None:
    """In a transaction, so long that a row carries it, and in a thread that nobody can stop."""
    short = announcing.LONG
    for state in (None, "u"):
        if state is not None:
            patch.setattr(announcing, "LONG", 300_000)
        running = await line.submit("writes", "running")
        await handlers.began[running].wait()
        await when(line.client, running, lambda status: status.state is State.PROCESSING)
        if state is not None:
            await line.waits(running, state)
        await line.cancelled(running, State.PROCESSING)
        await line.goes_on("running")
        assert handlers.stopped.pop() == running
    patch.setattr(announcing, "LONG", short)

    thread = await line.submit("thread", "thread")
    await asyncio.to_thread(handlers.thread_runs.wait)
    await when(line.client, thread, lambda status: status.state is State.PROCESSING)
    await line.cancelled(thread, State.PROCESSING)
    behind = await line.submit("works", "thread")
    await line.goes_on()
    assert behind not in handlers.ran, "until the thread ends nothing of its entity may start"
    handlers.thread_may_end.set()
    await line.client.result(behind, timeout=60)


async def _what_stands_behind(line: Line, handlers: Handlers) -> list[JobId]:
    """In memory, and spilled, behind a job of its entity that runs."""
    running = await line.submit("writes", "hot")
    await handlers.began[running].wait()
    in_memory, _ = await line.submit("works", "hot"), await line.submit("works", "hot")
    await line.goes_on()
    await line.cancelled(in_memory, State.QUEUED)
    *_, spilled = jobs = await line.client.submit(
        [Submission("works", WORK.model_dump(), entity="hot") for _ in range(2 * LOOK_AHEAD)]
    )
    line.acked += jobs
    await line.waits(spilled, "q")
    await line.cancelled(spilled, State.QUEUED)
    handlers.may_end.set()
    await line.goes_on("hot")
    return [in_memory, spilled]


async def _what_has_ended(line: Line) -> None:
    """Complete, dead, blocking, discarded, or cancelled already: it stays so."""
    done = await line.submit("works")
    await line.client.result(done, timeout=60)
    await line.stays(done, State.COMPLETE)
    await line.stays(line.acked[0], State.CANCELLED)
    for type_ in ("skips", "blocks"):
        dead = await line.submit(type_, type_)
        await line.stays(dead, State.FAILED)
        await line.client.discard(dead_letter_id(dead, 1), by="ada")
        await line.goes_on(type_)
        await line.stays(dead, State.FAILED)


class Plan(NamedTuple):
    """A job of the race, and when it is cancelled."""

    type: str
    work: Work
    entity: str
    priority: Priority
    cancels: Sequence[tuple[bool, float]]
    """Whether seconds count from the end of its handler, or from its submission."""


KINDS = ("effect", "plain", "fails", "parks", "blocks", "thread")


def plans(number: int, seed: int) -> list[Plan]:
    chance = random.Random(seed)
    return [
        Plan(
            chance.choice(KINDS),
            Work(number=chance.choice((0, 0, 1, 2)), seconds=chance.random() * 0.05),
            f"N{index // 3}",
            chance.choice(list(Priority)),
            [
                (True, chance.random() * 0.02)
                if chance.random() < 0.6
                else (False, chance.random() * 0.3)
                for _ in range(chance.randint(1, 3))
            ],
        )
        for index in range(number)
    ]


class Racing:
    """Handlers that end in every way, and say when they are about to."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.ends: dict[JobId, asyncio.Event] = defaultdict(asyncio.Event)
        self._loop = asyncio.get_running_loop()
        again = Retry(attempts=ATTEMPTS, wait=wait_fixed(0.05))
        self.jobs.register("effect", self.effect, retry=again)
        self.jobs.register("plain", self.plain, retry=ONCE)
        self.jobs.register("fails", self.fails, retry=ONCE)
        self.jobs.register("parks", self.parks, retry=again)
        self.jobs.register("blocks", self.parks, retry=BLOCKS)
        self.jobs.register("thread", self.thread, retry=ONCE)

    async def effect(self, request: Request[Work]) -> None:
        await chaos.write_effect(request)
        self.ends[request.job_id].set()
        if request.attempt <= request.payload.number:
            raise RuntimeError("it fails after it wrote")

    async def plain(self, request: Request[Work]) -> None:
        await asyncio.sleep(request.payload.seconds)
        self.ends[request.job_id].set()

    async def fails(self, request: Request[Work]) -> None:
        await self.effect(request)
        raise RuntimeError("it fails after it wrote")

    async def parks(self, request: Request[Work]) -> None:
        await self.plain(request)
        raise RuntimeError("it fails without a transaction")

    def thread(self, request: Request[Work]) -> None:
        time.sleep(request.payload.seconds)
        self._loop.call_soon_threadsafe(self.ends[request.job_id].set)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(60, id="sixty times"),
        pytest.param(1_000, id="a thousand times", marks=pytest.mark.long),
    ],
)
async def test_a_cancel_races_success_failure_parking_and_the_flush_without_a_second_end(
    ready: Commands, number: int, record_property: Callable[[str, object], None]
) -> None:
    racing = Racing()
    at_once = asyncio.Semaphore(30)
    async with lined_up(ready.settings) as line:

        async def cancel(job: JobId, who: str, after: tuple[bool, float]) -> None:
            at_its_end, seconds = after
            if at_its_end:
                with suppress(TimeoutError):  # it was cancelled before, or waits for its entity
                    await asyncio.wait_for(racing.ends[job].wait(), 1)
            await asyncio.sleep(seconds)
            await line.cancel(job, who)

        async def live(plan: Plan) -> None:
            async with at_once:
                submission = Submission(
                    plan.type,
                    plan.work.model_dump(),
                    entity=plan.entity,
                    priority=plan.priority,
                )
                job = await line.client.submit(submission)
                line.acked.append(job)
                await asyncio.gather(
                    *(cancel(job, f"{who}", after) for who, after in enumerate(plan.cancels))
                )

        async with Worker(racing.jobs, ready.settings):
            await asyncio.gather(*map(live, plans(number, seed=number)))
            for job, generation in await line.database.fetch(
                "SELECT job, generation FROM jobs.waiting WHERE state = 'b'"
            ):
                await line.client.discard(dead_letter_id(job, generation))
            ends = await line.check()
    record_property("ends", dict(ends))
    record_property("runs", number)
    assert set(ends) == {"c", "f", "x", "d"}, ends
    assert sum(ends.values()) - ends["d"] == number
