"""How do jobs that never touched the database get their ledger rows?

Every such job that ended while the last flush was under way shares the next one; and while there
are jobs that can start at once, those that end within the next ten milliseconds do too. So at an
idle worker a job is flushed at once, under load hundreds share one transaction. The flush is fenced
by the tokens of its partitions, and the winners are read back; only what stands is published
(H2, H12).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.ports.ledger import Ending, LedgerRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.ports.ledger import Entry, Flushed
    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Ended, Settling

MOST_AT_ONCE: Final = 500
ENOUGH: Final = 250
"""So many are not kept waiting for more."""
GATHERING: Final = 0.01
"""Seconds."""


class _Batch(NamedTuple):
    ended: list[Ended]
    entries: list[Entry]
    partitions: list[OwnedPartition]


class Flusher:
    """Group commit for completions without a transaction of their own."""

    def __init__(
        self,
        books: Books,
        settling: Settling,
        doubt: Callable[[OwnedPartition, str], None],
        more_comes: Callable[[], bool],
    ) -> None:
        """`more_comes` tells whether jobs can start now, so that more will have ended soon."""
        self._books = books
        self._settling = settling
        self._doubt = doubt
        self._more_comes = more_comes
        self._ended: list[Ended] = []
        self._asked = False
        self._due = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None

    def add(self, delivery: Delivery, body: bytes, *, follow_ups: bool) -> None:
        """Have a completion written; the delivery is settled or abandoned afterwards."""
        ended = self._ended
        ended.append((delivery, body, follow_ups))
        if len(ended) >= ENOUGH:
            self._due.set()
        elif not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        """Once those have ended that end at once: is there anything to wait for?"""
        self._asked = False
        if not self._more_comes():
            self._due.set()
        elif self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(GATHERING, self._due.set)

    async def run(self) -> None:
        """Flush until cancelled; what is not flushed then was never said to have happened."""
        while True:
            batch = self._of_ours(await self._group())
            flushed = None
            while batch.ended and flushed is None:
                flushed = await self._books.answer(partial(self._flush, batch))
                if flushed is None:
                    batch = self._of_ours(batch.ended)
            if flushed is not None:
                self._settle(batch, flushed)

    async def _group(self) -> list[Ended]:
        await self._due.wait()
        group, self._ended = self._ended[:MOST_AT_ONCE], self._ended[MOST_AT_ONCE:]
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if not self._ended:
            self._due.clear()
        return group

    def _of_ours(self, ended: list[Ended]) -> _Batch:
        """Those whose partition is not lost; the others are somebody else's by now."""
        partitions = list({delivery.partition: None for delivery, _, _ in ended})
        if any(partition.lost for partition in partitions):
            for delivery, _, _ in ended:
                if delivery.partition.lost:
                    self._settling.abandon(delivery)
            ended = [one for one in ended if not one[0].partition.lost]
            partitions = [partition for partition in partitions if not partition.lost]
        return _Batch(ended, [delivery.entry(body) for delivery, body, _ in ended], partitions)

    async def _flush(self, batch: _Batch) -> Flushed | None:
        """None where a partition was lost meanwhile: in another database its token may stand."""
        if any(partition.lost for partition in batch.partitions):
            return None
        fences = list({partition.fence: None for partition in batch.partitions})
        return await self._books.ledger.flush(fences, batch.entries)

    def _settle(self, batch: _Batch, flushed: Flushed) -> None:
        ended, entries, _ = batch
        if flushed.winners is not entries:
            ended = [
                one
                for one, entry, winner in zip(ended, entries, flushed.winners, strict=True)
                if self._stands(one[0], entry, winner)
            ]
        if ended:
            self._settling.complete(ended)

    def _stands(self, delivery: Delivery, entry: Entry, winner: Entry | LedgerRow | None) -> bool:
        """Whether this worker's own outcome stands; deals with every other."""
        if winner is None:
            self._doubt(delivery.partition, "the flush met another owner's token")
            self._settling.abandon(delivery)
            return False
        if winner.body == entry.body or not isinstance(winner, LedgerRow):
            return True
        # Another end was first: a cancel, or proof of another owner (H2).
        if winner.ending is not Ending.CANCELLED:
            self._doubt(delivery.partition, "another worker ended one of its jobs")
        self._settling.settle_as(delivery, winner)
        return False
