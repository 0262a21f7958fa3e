"""Is a silence said, measured, and a reason not to be ready?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.step import onward
from processor.domain.errors import Unavailable
from processor.domain.events import Failed, Reason
from processor.domain.ids import entity_key
from processor.domain.priority import LANES, Priority
from processor.domain.retry import Retry
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending
from processor.ports.log import Place
from processor.runtime.handlers import Jobs
from processor.runtime.loop_lag import STOOD
from processor.runtime.request import Request
from processor.runtime.troubles import Readiness
from processor.runtime.watching import IDLE, STILL, UNREAD
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member
from processor.testing.naming import TOPICS
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.telemetry import Collected

__all__ = ["blocking_calls_fail"]

ONCE = Retry(attempts=1)
GAUGES = ("job.loop_lag_seconds", "job.unread_seconds", "job.idle_seconds", "job.position_seconds")
LONG = 400.0
SAID_AGAIN_EVERY = 300.0


@pytest.fixture
def collected() -> Collected:
    return Collected()


class Watched:
    """A worker of one partition, what it says and what it measures."""

    def __init__(self, jobs: Jobs, collected: Collected, **manner: Any) -> None:  # noqa: ANN401 - the cluster's own
        self.collected = collected
        self.cluster = MemoryCluster(jobs, 1, **manner)
        self.cluster.metrics = self.collected.metrics
        self.worker = self.cluster.member()

    async def begin(self) -> None:
        self.worker.start()
        await self.cluster.until(self.worker.owned)
        assert self.readiness() == (True, ()), "before anything is wrong"

    def readiness(self) -> Readiness:
        return self.worker.runtime.health.readiness()

    def gauge(self, name: str, lane: Priority | None = None) -> float:
        of = {} if lane is None else {"lane": lane.label}
        return self.collected.total(name, **of)

    async def well(self) -> None:
        """Return when everything moves again, and says so in every way."""
        await self.cluster.until(lambda: self.readiness().ready, 300.0)
        await self.cluster.clock.sleep(120)
        assert [self.gauge(name) for name in GAUGES] == [0, 0, 0, 0]
        await self.worker.stopped()


def said(lines: list[EventDict], what: str) -> list[EventDict]:
    return [line for line in lines if line["event"] == what]


def assert_said(lines: list[EventDict], what: str, where: str, because: str) -> None:
    """Said once as it began, not again within minutes, in words; and that it is over."""
    first, *again = said(lines, what)
    assert (first["log_level"], first["where"]) == ("error", where)
    assert because in first["because"], first
    assert first["do"]
    assert len(again) <= LONG / SAID_AGAIN_EVERY
    assert {line["what"] for line in said(lines, "over")} >= {what}


@in_virtual_time
async def test_a_loop_that_stood_still_is_told_for_a_minute_and_is_no_other_handlers_time(
    collected: Collected,
) -> None:
    jobs, loop = Jobs(), loop_of_the_test()
    both = asyncio.Event()

    @jobs.handler("blocks", retry=ONCE)
    async def blocks(request: Request[Any]) -> None:
        await both.wait()
        loop.clock.advance(20)

    @jobs.handler("innocent", retry=ONCE, timeout=10)
    async def innocent(request: Request[Any]) -> None:
        both.set()
        await asyncio.sleep(9)

    watched = Watched(jobs, collected)
    with capture_logs() as lines:
        await watched.begin()
        bad, good = (watched.cluster.submit(one, one) for one in ("blocks", "innocent"))
        await watched.cluster.until(lambda: said(lines, STOOD))
        assert 19 < watched.gauge("job.loop_lag_seconds") <= 20
        ready, (reason,) = watched.readiness()
        assert not ready
        assert reason.startswith(f"{STOOD} (this process): nothing of this worker ran for")
        await watched.cluster.settled()
        ends = {job: watched.cluster.database.ledger[job, 1].ending for job in (bad, good)}
        assert ends == {bad: Ending.COMPLETE, good: Ending.COMPLETE}
        await watched.well()
    assert_said(lines, STOOD, "this process", "nothing of this worker ran for")


@in_virtual_time
async def test_a_handler_whose_own_time_is_over_times_out_although_the_loop_stood_still() -> None:
    jobs, loop = Jobs(), loop_of_the_test()
    waits = asyncio.Event()

    @jobs.handler("innocent", retry=ONCE, timeout=10)
    async def innocent(request: Request[Any]) -> None:
        waits.set()
        await asyncio.sleep(100)

    @jobs.handler("blocks", retry=ONCE, timeout=10)
    async def blocks(request: Request[Any]) -> None:
        await waits.wait()
        loop.clock.advance(20)

    cluster = MemoryCluster(jobs, 1)
    job = cluster.submit("innocent")
    cluster.submit("blocks")
    cluster.start()
    await cluster.settled()
    end = cluster.outcome(job).end
    assert isinstance(end, Failed)
    assert end.reason is Reason.ATTEMPT_TIMEOUT
    assert 29 <= (end.at - cluster.acked[0].record.submitted_at) / 1e6 <= 31


@in_virtual_time
async def test_records_that_are_not_read_are_told_although_the_reader_says_nothing(
    collected: Collected,
) -> None:
    watched = Watched(Jobs(), collected)
    lane = Priority.HIGH
    place = Place(TOPICS.lane(lane), 0)
    with capture_logs() as lines:
        await watched.begin()
        reader = reader_of(watched.worker, lane)
        reader.leave(place)  # as a client whose fetching died: nothing comes, and no error
        watched.cluster.submit("anything", "N1", lane=lane)
        await watched.cluster.clock.sleep(LONG)
        ready, (reason,) = watched.readiness()
        assert not ready
        assert reason.startswith(f"{UNREAD} (lane high, partition 0): nothing was read for")
        assert watched.gauge("job.unread_seconds", lane) > 300
        for other in set(LANES) - {lane}:
            assert watched.gauge("job.unread_seconds", other) == 0
        reader.place(place, 0)
        await watched.cluster.settled()
        await watched.well()
    assert_said(lines, UNREAD, "lane high, partition 0", "from offset 0 on")


def reader_of(worker: Member, lane: Priority) -> Any:  # noqa: ANN401 - a reader in memory
    return worker.runtime._fetchers[lane].reader  # noqa: SLF001 - what a worker has no name for


@in_virtual_time
async def test_a_reader_that_says_that_it_has_ended_ends_its_worker_and_no_job_is_suspected(
    collected: Collected,
) -> None:
    jobs = Jobs()
    let_go = asyncio.Event()

    @jobs.handler("waits", retry=ONCE)
    async def waits(request: Request[Any]) -> None:
        await let_go.wait()

    async def dead(name: str) -> BaseException | None:
        if name == "log.fetch" and struck:
            raise Unavailable("the reader has ended: its fetching died")
        return await onward(name)

    struck: list[int] = []
    watched = Watched(jobs, collected)
    watched.worker.hook = dead
    await watched.begin()
    job = watched.cluster.submit("waits")
    await watched.cluster.until(lambda: watched.worker.runtime.dispatcher.running)
    struck.append(1)
    with pytest.raises(BaseExceptionGroup) as raised:
        await watched.worker.ended()
    assert raised.group_contains(Unavailable, match="its fetching died")
    let_go.set()
    watched.cluster.start()
    await watched.cluster.settled()
    assert watched.cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert watched.cluster.database.owners[0].unclean == 0, "it died of its reader, and of no job"


async def growing(watched: Watched, lane: Priority, seconds: float) -> None:
    """Let a lane grow by one job every few seconds."""
    for number in range(int(seconds / 5)):
        watched.cluster.submit("quick", f"N{number}", lane=lane)
        await watched.cluster.clock.sleep(5)


def with_quick(jobs: Jobs) -> Jobs:
    async def quick(request: Request[Any]) -> None: ...

    jobs.register("quick", quick, retry=ONCE)
    return jobs


@in_virtual_time
async def test_a_lane_that_grows_while_its_worker_hears_nothing_of_its_group_is_told(
    collected: Collected,
) -> None:
    watched = Watched(with_quick(Jobs()), collected)
    with capture_logs() as lines:
        await watched.begin()
        watched.worker.membership.cut()
        await growing(watched, Priority.LOW, 150)
        ready, reasons = watched.readiness()
        assert not ready
        assert reasons[0].startswith("its group has answered no heartbeat for 1")
        assert reasons[1].startswith(f"{IDLE} (lane low): ")
        assert watched.gauge("job.idle_seconds", Priority.LOW) > 60
        watched.worker.membership.heal()
        await watched.cluster.settled()
        await watched.well()
    assert_said(lines, IDLE, "lane low", "has answered no heartbeat")


@in_virtual_time
async def test_a_lane_that_grows_while_every_slot_is_taken_is_told_with_the_job_that_has_it(
    collected: Collected,
) -> None:
    jobs, let_go = with_quick(Jobs()), asyncio.Event()

    @jobs.handler("hangs", retry=ONCE, timeout=3600)
    async def hangs(request: Request[Any]) -> None:
        await let_go.wait()

    watched = Watched(jobs, collected, slots=1)
    with capture_logs() as lines:
        await watched.begin()
        job = watched.cluster.submit("hangs")
        await growing(watched, Priority.NORMAL, 150)
        ready, reasons = watched.readiness()
        assert not ready
        assert any(str(job) in one for one in reasons if one.startswith(IDLE)), reasons
        let_go.set()
        await watched.cluster.settled()
        await watched.well()
    assert_said(lines, IDLE, "lane normal", "by job")


@in_virtual_time
async def test_a_lane_that_an_operator_holds_is_no_trouble(collected: Collected) -> None:
    watched = Watched(with_quick(Jobs()), collected)
    await watched.begin()
    await MemoryHolds(watched.cluster.database).hold(HoldKind.LANE, "low", "ann", "look")
    await growing(watched, Priority.LOW, 150)
    assert watched.readiness() == (True, ())


async def lock_is_elsewhere(watched: Watched) -> tuple[Callable[[], object], str]:
    key = entity_key(None, "N1")
    watched.cluster.database.locks[key] = "somebody"
    return lambda: watched.cluster.database.locks.pop(key), "its entity's lock"


async def journal_is_away(watched: Watched) -> tuple[Callable[[], object], str]:
    back = asyncio.Event()

    async def hook(name: str) -> BaseException | None:
        if name == "log.append":
            await back.wait()
        return await onward(name)

    watched.worker.hook = hook
    return back.set, "the journal does not acknowledge"


async def nobody_has_it(watched: Watched) -> tuple[Callable[[], object], str]:
    """What no code of ours does: a job that was dispatched is let go without a word."""
    runtime = watched.worker.runtime
    run = runtime._attempts.run  # noqa: SLF001
    lost: list[Any] = []

    async def loses(delivery: Any) -> None:  # noqa: ANN401
        if lost:
            await run(delivery)
            return
        lost.append(delivery)
        runtime._memory.forget(delivery)  # noqa: SLF001

    def found() -> None:
        runtime._memory.reserve(lost[0])  # noqa: SLF001
        asyncio.ensure_future(run(lost[0]))  # noqa: RUF006

    runtime._starting.start = loses  # type: ignore[method-assign] # noqa: SLF001
    return found, "nobody works on it"


@pytest.mark.parametrize("cause", [lock_is_elsewhere, journal_is_away, nobody_has_it])
@in_virtual_time
async def test_a_position_that_does_not_move_is_told_with_what_its_record_waits_for(
    collected: Collected,
    cause: Callable[[Watched], Awaitable[tuple[Callable[[], object], str]]],
) -> None:
    jobs = Jobs()

    @jobs.handler("writes", retry=ONCE)
    async def writes(request: Request[Any]) -> None:
        await request.connection()

    watched = Watched(jobs, collected)
    with capture_logs() as lines:
        await watched.begin()
        mend, because = await cause(watched)
        watched.cluster.submit("writes", "N1", lane=Priority.CRITICAL)
        await watched.cluster.clock.sleep(200)
        ready, reasons = watched.readiness()
        assert not ready
        (reason,) = reasons
        assert reason.startswith(f"{STILL} (lane critical, partition 0): offset 0 is not done")
        assert watched.gauge("job.position_seconds", Priority.CRITICAL) > 150
        mend()
        await watched.cluster.settled()
        await watched.well()
    assert_said(lines, STILL, "lane critical, partition 0", because)


@in_virtual_time
async def test_a_pause_of_the_whole_worker_accuses_nobody(collected: Collected) -> None:
    jobs, loop = with_quick(Jobs()), loop_of_the_test()
    watched = Watched(jobs, collected)
    with capture_logs() as lines:
        await watched.begin()
        watched.cluster.submit("quick")
        loop.clock.advance(3600)
        await watched.cluster.settled()
        await watched.cluster.clock.sleep(60)
    for what in (UNREAD, IDLE, STILL):
        assert said(lines, what) == []
    with suppress(BaseExceptionGroup):
        await watched.worker.stopped()
