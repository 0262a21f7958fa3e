"""How do arrivals get into the waiting room: behind a head, spilled, or scheduled?

They are written in groups, under the fence and each under its entity's lock; once a row is durable
the position may pass its record. Until then the job is in nobody's line, and its entity's queued
rows are not brought back, so that none overtakes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processor.ports.ledger import Answer
from processor.ports.waiting_room import WaitingState
from processor.runtime.inbox import Inbox
from processor.runtime.waits import wait_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.memory import Memory
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Settling

MOST_AT_ONCE = 200
PAUSE_WHEN_BUSY = 0.1
REFUSED_AT_MOST = 20


class _Arrival(NamedTuple):
    delivery: Delivery
    state: WaitingState


class Queueing:
    """Writes rows that hold nothing."""

    def __init__(
        self,
        books: Books,
        memory: Memory,
        settling: Settling,
        doubt: Callable[[OwnedPartition, str], None],
    ) -> None:
        self._books = books
        self._memory = memory
        self._settling = settling
        self._doubt = doubt
        self._arrivals: Inbox[_Arrival] = Inbox()
        self.queued = 0
        """How many were to wait for their entity's turn, ever."""

    def queue(self, deliveries: Iterable[Delivery]) -> None:
        """Have jobs wait for their entity's turn."""
        behind = list(deliveries)
        self.queued += len(behind)
        self._memory.lines.writing(behind)
        self._arrivals.put(*(_Arrival(one, WaitingState.QUEUED) for one in behind))

    def schedule(self, delivery: Delivery) -> None:
        """Have a job wait for the time before which it may not start; its entity does not."""
        self._arrivals.put(_Arrival(delivery, WaitingState.SCHEDULED))

    def carry(self, running: Delivery) -> None:
        """A row carries this job while it runs, and holds its entity."""
        self.behind(running)
        self._memory.carried(running)
        self._settling.read_on()

    def behind(self, head: Delivery) -> None:
        """A row of this job holds its entity now: have the entity's jobs in memory wait behind."""
        if head.partition.open:  # a spell that is over leaves nothing behind (H27)
            self._memory.lines.head(head.entity, head.partition, head.record.job)
            self.put_off(self._memory.mailboxes.withdraw(head.entity))

    def line_up_again(self, taken: Delivery) -> bool:
        """Put a dispatched job back into its entity's line, if that has rows to go before it.

        They were queued since it was dispatched: those of a more urgent lane, or a schedule of an
        earlier place that has come due. All that is in memory of the entity is loaded anew. A line
        none of whose jobs may begin, tried again and again, is not as this worker knows it.
        """
        lines, mailboxes = self._memory.lines, self._memory.mailboxes
        entity, partition = taken.entity, taken.partition
        if not (partition.open and lines.must_queue(entity, taken.lane)):
            return False
        if lines.refused(taken) > REFUSED_AT_MOST:
            return False
        partition.out -= 1
        mailboxes.release(entity)
        self.put_off([taken, *mailboxes.withdraw(entity)])
        lines.hungry_again(entity, partition)
        self._settling.wake()
        return True

    def put_off(self, withdrawn: Iterable[Delivery]) -> None:
        """Have jobs that were in memory wait in rows: their own, or new ones."""
        arrivals = []
        for delivery in withdrawn:
            if delivery.waits:
                self._memory.forget(delivery)
                self._memory.lines.unloaded(delivery)
            else:
                arrivals.append(delivery)
        self.queue(arrivals)

    async def run(self) -> None:
        """Write until cancelled; what is not written then comes again with its record."""
        while True:
            busy = await self._write(await self._arrivals.group(MOST_AT_ONCE))
            if busy:
                await self._books.clock.sleep(PAUSE_WHEN_BUSY)
                self._arrivals.put_back(busy)

    async def _write(self, batch: list[_Arrival]) -> list[_Arrival]:
        """Write a batch; what met a busy lock is returned to be written again."""
        by_partition: dict[OwnedPartition, list[_Arrival]] = {}
        for one in batch:
            if one.delivery.partition.open:
                by_partition.setdefault(one.delivery.partition, []).append(one)
            else:
                self._memory.forget(one.delivery)
        busy: list[_Arrival] = []
        for partition, arrivals in by_partition.items():
            answers = await self._answered(partition, arrivals)
            for one, answer in zip(arrivals, answers, strict=True):
                if answer is Answer.BUSY:
                    busy.append(one)
                else:
                    await self._take(one, answer)
        self._settling.read_on()
        return busy

    async def _answered(self, partition: OwnedPartition, arrivals: list[_Arrival]) -> list[Answer]:
        waits = [
            wait_of(delivery, state, due_at=_due_at(delivery, state))
            for delivery, state in arrivals
        ]
        locked = {
            one.delivery.entity
            for one in arrivals
            if self._memory.mailboxes.is_out(one.delivery.entity)
        }

        async def enqueue() -> list[Answer]:
            if partition.lost:  # perhaps to another database, where its token stands again
                return [Answer.FENCED] * len(waits)
            return await self._books.room.enqueue(partition.fence, waits, locked=locked)

        return await self._books.answer(enqueue)

    async def _take(self, one: _Arrival, answer: Answer) -> None:
        delivery = one.delivery
        self._memory.forget(delivery)
        if answer is Answer.DONE:
            delivery.carried(1)
        elif answer is Answer.SETTLED:
            row = await self._books.end_of(delivery)
            if row is not None:
                self._settling.republish(delivery, row)
        else:
            self._doubt(delivery.partition, f"an arrival was answered {answer.name.lower()}")
        if one.state is WaitingState.QUEUED:
            self._memory.lines.written(delivery)


def _due_at(delivery: Delivery, state: WaitingState) -> int | None:
    return delivery.record.not_before if state is WaitingState.SCHEDULED else None
