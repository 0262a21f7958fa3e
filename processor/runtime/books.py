"""How are ledger and waiting room asked, when the database may be away?

Again and again, until it answers: what a worker has begun to write down is either written or
refused by an answer (fenced, stale, settled), never dropped because of a fault. Whoever has to stop
for another reason finds out in the question itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processor.ports.clock import Clock
    from processor.ports.ledger import Ledger, LedgerRow
    from processor.ports.waiting_room import Room
    from processor.runtime.delivery import Delivery

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

Answered = TypeVar("Answered")

log = structlog.get_logger(__name__)


def _never(_: object) -> bool:
    return False


async def until_answered(
    clock: Clock,
    ask: Callable[[], Awaitable[Answered]],
    again: Callable[[Answered], bool] = _never,
) -> Answered:
    """Ask until no fault comes back, nor an answer that is to be asked `again`; pauses grow."""
    pause = FIRST_PAUSE
    while True:
        try:
            answer = await ask()
        except Fault as fault:
            log.warning("the database does not answer; asking again", because=str(fault))
        else:
            if not again(answer):
                return answer
        await clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


@dataclass(frozen=True, slots=True)
class Books:
    """Where a worker writes down what became of its jobs."""

    ledger: Ledger
    room: Room
    clock: Clock

    async def answer(
        self,
        ask: Callable[[], Awaitable[Answered]],
        again: Callable[[Answered], bool] = _never,
    ) -> Answered:
        """The answer to a question, once the database gives one."""
        return await until_answered(self.clock, ask, again)

    async def end_of(self, delivery: Delivery) -> LedgerRow | None:
        """The row by which a job's generation ended; None where it has gone, or never was."""
        record = delivery.record
        return await self.answer(lambda: self.ledger.row(record.job, record.generation))

    async def drop(self, delivery: Delivery) -> None:
        """Remove the row of a generation that a later one's row carries on."""
        record = delivery.record
        await self.answer(lambda: self.room.remove([(record.job, record.generation)]))
