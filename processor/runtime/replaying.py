"""How does a replay under `block` take its place?

Its record is a command: the owner turns the blocking row into the retrying row of the next
generation, which goes on holding the entity, so that what waits behind it stays behind it (H14,
H37). Only when that is durable may the position pass the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processor.ports.ledger import Answer
from processor.runtime.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.memory import Memory
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Settling

MOST_AT_ONCE = 200
PAUSE_WHEN_BUSY = 0.1


class _Command(NamedTuple):
    delivery: Delivery
    arrive: Callable[[Delivery], None]


class Replaying:
    """Obeys the commands, one after the other."""

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
        self._commands: Inbox[_Command] = Inbox()

    def take(self, delivery: Delivery, arrive: Callable[[Delivery], None]) -> None:
        """Have a command obeyed; where no row blocks it is handed to `arrive` as any other job."""
        self._commands.put(_Command(delivery, arrive))

    async def run(self) -> None:
        """Obey until cancelled; what is not obeyed then comes again with its record."""
        while True:
            commands = await self._commands.group(MOST_AT_ONCE)
            busy = [one for one in commands if not await self._is_obeyed(one)]
            if busy:
                await self._books.clock.sleep(PAUSE_WHEN_BUSY)
                self._commands.put_back(busy)

    async def _is_obeyed(self, command: _Command) -> bool:
        """Whether it was answered; False where the entity is busy."""
        delivery = command.delivery
        if not delivery.partition.open:
            self._memory.forget(delivery)
            return True
        match await self._books.answer(lambda: self._replay(delivery)):
            case Answer.SETTLED:
                await self._settle(delivery)
            case Answer.DONE:
                # Its row comes back by its time, which is now.
                self._memory.forget(delivery)
                self._settling.repeat(delivery, None)
            case Answer.BUSY:
                return False
            case Answer.STALE if delivery.partition.open:
                command.arrive(delivery)
                self._settling.wake()
            case _:
                self._memory.forget(delivery)
                self._doubt(delivery.partition, "a replay in place met another owner's token")
        return True

    async def _replay(self, delivery: Delivery) -> Answer:
        record = delivery.record
        return await self._books.room.replay_in_place(
            delivery.partition.fence, delivery.entity, record.job, record.generation, delivery.value
        )

    async def _settle(self, delivery: Delivery) -> None:
        row = await self._books.end_of(delivery)
        self._memory.forget(delivery)
        if row is not None:
            self._settling.republish(delivery, row, holds=True)
        else:  # it was pruned in between: nothing is left to tell
            self._settling.repeat(delivery, None)
