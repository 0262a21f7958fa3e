"""Does an attempt always come to let its job go?"""

from __future__ import annotations

import asyncio
from uuid import UUID

from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.ports.ownership import Fence
from processor.runtime.admission import Admission
from processor.runtime.delivery import Delivery
from processor.runtime.dispatcher import Dispatcher
from processor.runtime.memory import Memory
from processor.runtime.partition import OwnedPartition
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test


@in_virtual_time
async def test_an_attempt_that_is_stopped_before_its_first_step_still_lets_its_job_go() -> None:
    memory = Memory()
    mailboxes = memory.mailboxes
    let_go: list[Delivery] = []

    async def run(delivery: Delivery) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            let_go.append(delivery)

    admission = Admission(memory, loop_of_the_test().clock)
    dispatcher = Dispatcher(mailboxes, 1, run, lambda: True, lambda _: False, admission)
    job = JobId(UUID(int=1))
    record = SubmissionRecord(job, "any", b"null", "N1", Priority.NORMAL, 0)
    partition = OwnedPartition(Fence(0, UUID(int=2)), (0, 0, 0, 0))
    one = Delivery(record, b"", partition, Priority.NORMAL, 0, 7)
    mailboxes.put(one.entity, one.lane, one.offset, one)
    dispatcher.wake()
    stopped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: stopped.set_result(dispatcher.stop_one(one)))
    assert await stopped
    await dispatcher.idle(1)
    assert let_go == [one]
    assert one.cancelled
