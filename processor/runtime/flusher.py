"""How do jobs that never touched the database get their ledger rows?

Every such job that ended while the last flush was under way shares the next one: at an idle worker
a job is flushed at once, under load hundreds share one transaction. The flush is fenced by the
tokens of its partitions, and the winners are read back; only what stands is published (H2, H12).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from processor.ports.ledger import Ending, Entry
from processor.runtime.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.ports.ledger import Flushed
    from processor.runtime.books import Books
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Settling

MOST_AT_ONCE = 500


class _Ended(NamedTuple):
    delivery: Delivery
    entry: Entry
    follow_ups: bool


class Flusher:
    """Group commit for completions without a transaction of their own."""

    def __init__(
        self,
        books: Books,
        settling: Settling,
        doubt: Callable[[OwnedPartition, str], None],
    ) -> None:
        self._books = books
        self._settling = settling
        self._doubt = doubt
        self._ended: Inbox[_Ended] = Inbox()

    def add(self, delivery: Delivery, body: bytes, *, follow_ups: bool) -> None:
        """Have a completion written; the delivery is settled or abandoned afterwards."""
        self._ended.put(_Ended(delivery, delivery.entry(body), follow_ups))

    async def run(self) -> None:
        """Flush until cancelled; what is not flushed then was never said to have happened."""
        while True:
            batch = await self._ended.group(MOST_AT_ONCE)
            flushed = None
            while batch and flushed is None:
                batch = self._of_ours(batch)
                flushed = await self._books.answer(partial(self._flush, batch))
            if flushed is not None:
                self._settle(batch, flushed)

    def _of_ours(self, batch: list[_Ended]) -> list[_Ended]:
        """Those whose partition is not lost; the others are somebody else's by now."""
        for one in batch:
            if one.delivery.partition.lost:
                self._settling.abandon(one.delivery)
        return [one for one in batch if not one.delivery.partition.lost]

    async def _flush(self, batch: list[_Ended]) -> Flushed | None:
        """None where a partition was lost meanwhile: in another database its token may stand."""
        if any(one.delivery.partition.lost for one in batch):
            return None
        fences = list({one.delivery.partition.fence: None for one in batch})
        return await self._books.ledger.flush(fences, [one.entry for one in batch])

    def _settle(self, batch: list[_Ended], flushed: Flushed) -> None:
        settling = self._settling
        for (delivery, entry, follow_ups), winner in zip(batch, flushed.winners, strict=True):
            if winner is None:
                self._doubt(delivery.partition, "the flush met another owner's token")
                settling.abandon(delivery)
            elif winner.body == entry.body:
                settling.settle(delivery, entry.body, Ending.COMPLETE, follow_ups=follow_ups)
            else:
                self._lost_race(delivery, winner.ending)
                settling.settle_as(delivery, winner)

    def _lost_race(self, delivery: Delivery, ending: Ending) -> None:
        """Another end was first: a cancel, or proof of another owner (H2)."""
        if ending is not Ending.CANCELLED:
            self._doubt(delivery.partition, "another worker ended one of its jobs")
