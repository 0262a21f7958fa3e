"""How does a worker hear that somebody else ended one of its jobs?

A cancel wakes the owner of the job's partition. What waits in memory is dropped, what runs is
stopped and rolled back, what pauses before it runs again does not, and the ledger's row is
published in each case. After a time without
listening everything in memory is looked up anew, so that no cancel is missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from processor.runtime.end_in_ledger import by_job, settling_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.ids import JobId
    from processor.ports.cancelling import Wake, Wakes
    from processor.ports.ledger import LedgerRow
    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.dispatcher import Dispatcher
    from processor.runtime.memory import Memory
    from processor.runtime.settling import Settling

AT_ONCE = 2_000


class Waking:
    """Drops and stops what was ended from outside."""

    def __init__(
        self,
        wakes: Wakes,
        books: Books,
        memory: Memory,
        dispatcher: Dispatcher,
        settling: Settling,
        look_soon: Callable[[], None],
    ) -> None:
        """`look_soon` has rows looked at that were woken and are not in memory (H36)."""
        self._wakes = wakes
        self._books = books
        self._memory = memory
        self._dispatcher = dispatcher
        self._settling = settling
        self._look_soon = look_soon
        self._woken: set[JobId] = set()
        self._everything = False
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        """Hear wake-ups until cancelled."""
        await self._wakes.listen(self._hear, self._began)

    async def run(self) -> None:
        """Act on wake-ups until cancelled."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            woken, self._woken = self._woken, set()
            everything, self._everything = self._everything, False
            found = [
                one
                for one in self._memory.reserved.values()
                if everything or one.record.job in woken
            ]
            self._look_soon()
            for start in range(0, len(found), AT_ONCE):
                await self._act(found[start : start + AT_ONCE])

    def _hear(self, wake: Wake) -> None:
        self._woken.add(wake.job)
        self._heard.set()

    def _began(self) -> None:
        self._everything = True
        self._heard.set()

    async def _act(self, found: list[Delivery]) -> None:
        ended = by_job(await self._rows([one.record.job for one in found]))
        for delivery in found:
            row = settling_row(ended.get(delivery.record.job, ()), delivery.record.generation)
            if row is not None and not delivery.settled:
                self._end(delivery, row)

    def _end(self, delivery: Delivery, row: LedgerRow) -> None:
        if self._dispatcher.stop_one(delivery) or self._settling.end_pause(delivery, row):
            return
        waiting = self._memory.mailboxes.remove(delivery.entity, delivery)
        if waiting:
            self._memory.forget(delivery)
            self._settling.republish(delivery, row)

    async def _rows(self, jobs: list[JobId]) -> list[LedgerRow]:
        known = await self._books.answer(lambda: self._books.ledger.look_up([], jobs, []))
        return known.ledger
