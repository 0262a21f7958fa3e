"""How is an end that is no success written down, and how a wait?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.ledger import Answer, Ending, Fault
from processor.ports.waiting_room import WaitingState
from processor.runtime.waits import wait_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processor.ports.waiting_room import Wait
    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.queueing import Queueing
    from processor.runtime.settling import Settling

UNTOLD_FOR = 30.0
"""Seconds after which a death is published again whose row was not laid to rest."""


class Recorder:
    """Writes under the fence and the entity's lock, until the database has answered."""

    def __init__(
        self,
        books: Books,
        queueing: Queueing,
        settling: Settling,
        doubt: Callable[[OwnedPartition, str], None],
    ) -> None:
        self._books = books
        self._queueing = queueing
        self._settling = settling
        self._doubt = doubt

    async def fail(self, delivery: Delivery, body: bytes) -> None:
        """Record a failure for good; settles the delivery, or abandons it where it is not ours."""

        async def write() -> Answer:
            return await self._books.ledger.fail(
                delivery.partition.fence, delivery.entity, delivery.entry(body), delivery.revision
            )

        if await self._is_written(delivery, write):
            self._settling.settle(delivery, body, Ending.FAILED)

    async def block(self, delivery: Delivery, body: bytes) -> None:
        """Record a failure for good that keeps its entity until an operator decides."""
        # No record comes again of what waits already: after a death here the row itself does.
        due_in = UNTOLD_FOR if delivery.waits else None
        wait = wait_of(delivery, WaitingState.BLOCKING, body=body, due_in=due_in)

        async def write() -> Answer:
            answer = await self._record(delivery, wait, died=body)
            if answer is Answer.SETTLED and await self._is_its_end(delivery, body):
                return Answer.DONE  # written the first time, when the answer was lost
            return answer

        if await self._is_written(delivery, write):
            self._hold(delivery)
            self._settling.park(delivery, body, Ending.FAILED)

    async def wait(self, delivery: Delivery, wait: Wait, *, tell: bool) -> None:
        """Record that a dispatched job waits, holding its entity; `tell` its outcome so far."""
        if await self._is_written(delivery, lambda: self._record(delivery, wait)):
            self._hold(delivery)
            self._settling.park(delivery, wait.body if tell else None)

    async def outlast(self, delivery: Delivery, *, lock: bool) -> None:
        """Let a row carry a job that runs long, so that its partition goes on.

        `lock` is False where the job's own transaction holds the entity's lock. Where it cannot be
        written now nothing has happened.
        """
        wait = wait_of(delivery, WaitingState.RUNNING, due_in=0.0)
        try:
            answer = await self._record(delivery, wait, lock=lock)
            if answer is Answer.STALE and await self._is_carried(delivery):
                answer = Answer.DONE  # written the first time, when the answer was lost
        except Fault:
            return
        if answer is Answer.FENCED:
            self._doubt(delivery.partition, "a long job's row met another owner's token")
        if answer is Answer.DONE and not delivery.settled:
            self._queueing.carry(delivery)

    async def database_answers(self) -> bool:
        """Whether the database answers to others: then what fails is not it."""
        try:
            await self._books.ledger.look_up([], [], [])
        except Fault:
            return False
        return True

    def lines_up_again(self, delivery: Delivery) -> bool:
        """Have a job wait that may not begin, where rows here may go before it (H30)."""
        return self._queueing.line_up_again(delivery)

    async def settle_as_found(self, delivery: Delivery) -> None:
        """Settle a job that the ledger says has ended already."""
        row = await self._books.end_of(delivery)
        if row is None:  # a row of a later generation carries the job
            if delivery.waits:  # a failover forgot how this one ended, and its record came again
                await self._books.drop(delivery)
            self._settling.supersede(delivery)
        else:
            self._settling.settle_as(delivery, row)

    def _hold(self, delivery: Delivery) -> None:
        self._queueing.behind(delivery)

    async def _record(
        self, delivery: Delivery, wait: Wait, *, died: bytes | None = None, lock: bool = True
    ) -> Answer:
        if delivery.partition.lost:  # perhaps to another database, where its token stands again
            return Answer.FENCED
        return await self._books.room.record(
            delivery.partition.fence, wait, delivery.revision, died=died, lock=lock
        )

    async def _is_written(self, delivery: Delivery, write: Callable[[], Awaitable[Answer]]) -> bool:
        """Write until it is answered; deals with every answer but DONE."""
        answer = await self._books.answer(
            write, again=lambda it: it is Answer.BUSY and delivery.partition.open
        )
        if answer is Answer.DONE:
            return True
        if answer is Answer.SETTLED:
            await self.settle_as_found(delivery)
        else:
            self._doubt(delivery.partition, f"a job's end was answered {answer.name.lower()}")
            self._settling.abandon(delivery)
        return False

    async def _is_carried(self, delivery: Delivery) -> bool:
        """Whether the row stands as this worker alone can have written it, under its token."""
        record = delivery.record
        known = await self._books.ledger.look_up([], [record.job], [])
        return any(
            (row.generation, row.revision, row.state)
            == (record.generation, delivery.revision + 1, WaitingState.RUNNING)
            for row in known.waiting
            if row.job == record.job
        )

    async def _is_its_end(self, delivery: Delivery, body: bytes) -> bool:
        row = await self._books.end_of(delivery)
        return row is not None and row.body == body
