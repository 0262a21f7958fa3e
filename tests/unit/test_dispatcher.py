"""Does an attempt always come to let its job go?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from uuid import UUID

from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.ports.ownership import Fence
from processor.runtime.admission import Admission
from processor.runtime.delivery import Delivery
from processor.runtime.dispatcher import Dispatcher
from processor.runtime.forming import Forming
from processor.runtime.gathering import Gathering
from processor.runtime.handlers import Jobs
from processor.runtime.job_group import JobGroup
from processor.runtime.memory import Memory
from processor.runtime.partition import OwnedPartition
from processor.runtime.sharing import Sharing
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test


class Line:
    """A dispatcher with one slot, and jobs that do as they are told."""

    def __init__(self, run: Callable[[Delivery], Coroutine[None, None, None]], slots: int) -> None:
        self.memory = Memory()
        self.dispatcher = Dispatcher(
            self.memory.mailboxes,
            slots,
            run,
            lambda: True,
            lambda _: False,
            Admission(self.memory, loop_of_the_test().clock),
            self._gathering,
        )
        self.partition = OwnedPartition(Fence(0, UUID(int=2)), (0, 0, 0, 0))

    def _gathering(self, held: list[int], wake: Callable[[], None]) -> Gathering:
        """Nobody shares a transaction here."""

        async def together(group: JobGroup) -> None:
            raise NotImplementedError(group)

        sharing = Sharing(loop_of_the_test().clock)
        return Gathering(Forming(Jobs(), sharing, 8, held, 8), together, held, wake)

    def put(self, number: int) -> Delivery:
        job = JobId(UUID(int=number))
        record = SubmissionRecord(job, "any", b"null", "N1", Priority.NORMAL, 0)
        one = Delivery(record, b"", self.partition, Priority.NORMAL, number, number)
        self.memory.mailboxes.put(one.entity, one.lane, one.offset, one)
        return one


@in_virtual_time
async def test_an_attempt_that_is_stopped_as_soon_as_it_runs_still_lets_its_job_go() -> None:
    let_go: list[Delivery] = []

    async def run(delivery: Delivery) -> None:
        try:
            asyncio.get_running_loop().call_soon(line.dispatcher.stop_one, delivery)
            await asyncio.sleep(60)
        finally:
            let_go.append(delivery)

    line = Line(run, 1)
    one = line.put(1)
    line.dispatcher.wake()
    await asyncio.sleep(1)
    assert let_go == [one]
    assert one.cancelled
    assert not line.dispatcher.running


@in_virtual_time
async def test_who_is_stopped_in_its_first_step_takes_nobody_with_it() -> None:
    ended: list[Delivery] = []

    async def run(delivery: Delivery) -> None:
        if delivery is first:
            line.dispatcher.stop_one(delivery)
        else:
            await asyncio.sleep(1)
        ended.append(delivery)

    line = Line(run, 8)
    first, second = line.put(1), line.put(2)
    line.dispatcher.wake()
    await asyncio.sleep(2)
    assert ended == [first, second]


@in_virtual_time
async def test_jobs_that_wait_run_beside_each_other_and_those_that_do_not_share_a_task() -> None:
    tasks: dict[int, asyncio.Task[None] | None] = {}

    async def run(delivery: Delivery) -> None:
        tasks[delivery.offset] = asyncio.current_task()
        if delivery.offset % 2:
            await asyncio.sleep(1)

    line = Line(run, 8)
    for number in range(4):
        line.put(number)
    line.dispatcher.wake()
    await asyncio.sleep(0.5)
    assert len(line.dispatcher.running) == 2
    assert len(tasks) == 4
    assert tasks[0] is tasks[1]
    assert tasks[1] is not tasks[3]


@in_virtual_time
async def test_what_an_attempt_leaves_in_its_context_is_not_seen_by_the_next() -> None:
    left: ContextVar[int] = ContextVar("left", default=-1)
    seen: list[int] = []

    async def run(delivery: Delivery) -> None:
        seen.append(left.get())
        left.set(delivery.offset)
        line.dispatcher.wake()
        await asyncio.sleep(delivery.offset % 2)
        seen.append(left.get() - delivery.offset)

    line = Line(run, 8)
    for number in range(40):
        line.put(number)
    line.dispatcher.wake()
    await asyncio.sleep(60)
    assert sorted(seen) == [-1] * 40 + [0] * 40


@in_virtual_time
async def test_no_more_jobs_wait_at_once_than_there_are_slots() -> None:
    at_once: list[int] = []

    async def run(_delivery: Delivery) -> None:
        await asyncio.sleep(1)
        at_once.append(len(line.dispatcher.running))

    line = Line(run, 8)
    for number in range(40):
        line.put(number)
    line.dispatcher.wake()
    await asyncio.sleep(60)
    assert len(at_once) == 40
    assert max(at_once) == 8 - Priority.NORMAL
