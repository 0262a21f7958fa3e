"""What happens once a job's outcome is durable, or this worker has no more to do with it?

Settled: the entity's next job may start, and the outcome goes to be published. Done, which is when
the position may pass or the waiting room's row may go, it is only after the journal's
acknowledgement.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from processor.ports.ledger import Ending
from processor.runtime.publisher import After, Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processor.ports.ledger import LedgerRow
    from processor.runtime.breaking import Breakers
    from processor.runtime.delivery import Delivery
    from processor.runtime.memory import Memory
    from processor.runtime.observing import Observer
    from processor.runtime.publisher import Publisher


Ended = tuple["Delivery", bytes, bool]
"""A dispatched job whose handler completed, its outcome, and whether that holds follow-ups: a bare
tuple, since most jobs have one."""


class Settling:
    """Takes jobs out of the worker's hands."""

    def __init__(
        self,
        memory: Memory,
        publisher: Publisher,
        wake: Callable[[], None],
        observer: Observer,
        read_on: Callable[[], None],
        breakers: Breakers,
    ) -> None:
        self._memory = memory
        self._publisher = publisher
        self._observer = observer
        self._breakers = breakers
        self._paused: dict[Delivery, asyncio.TimerHandle] = {}
        self.wake = wake
        """Has the dispatcher look soon whether a job can start."""
        self.read_on = read_on
        """Has the fetchers look whether there is room, once records are done without a word."""

    def settle(
        self, delivery: Delivery, body: bytes, ending: Ending, *, follow_ups: bool = False
    ) -> None:
        """This worker's own outcome of a dispatched job is durable."""
        self._observer.settled(delivery, ending)
        if ending is Ending.COMPLETE and self._breakers.watching:
            self._breakers.succeeded((delivery,))
        self._end(delivery)
        self._publish(delivery, body, ending, follow_ups=follow_ups)

    def complete(self, ended: Sequence[Ended]) -> None:
        """This worker's own outcomes of many dispatched jobs are durable: they completed."""
        deliveries = [delivery for delivery, _, _ in ended]
        self._observer.completed(deliveries)
        if self._breakers.watching:
            self._breakers.succeeded(deliveries)
        forget, release = self._memory.forget, self._memory.mailboxes.release
        lines = self._memory.lines
        publications = []
        for delivery, body, follow_ups in ended:
            delivery.settled = True
            delivery.partition.out -= 1
            forget(delivery)
            release(delivery.entity)
            if lines.any:
                lines.ended(delivery)
            after = After.ROW if delivery.revision else After.POSITION
            publications.append(Publication(delivery, body, Ending.COMPLETE, after, follow_ups))
        self._publisher.publish_all(publications)
        self.wake()

    def settle_as(self, delivery: Delivery, row: LedgerRow) -> None:
        """A dispatched job turned out to have ended as `row` says."""
        self._end(delivery)
        self.republish(delivery, row)

    def republish(self, delivery: Delivery, row: LedgerRow, *, holds: bool = False) -> None:
        """Publish what the ledger holds, byte for byte; its follow-ups only for its own record.

        `holds` where a row of the job may go on holding the entity: a blocking one, or that of a
        later generation.
        """
        names_record = (row.lane, row.offset) == (delivery.lane, delivery.offset)
        delivery.settled = True
        if not holds:
            self._memory.lines.ended(delivery)
        self._publish(delivery, row.body, row.ending, follow_ups=names_record)

    def repeat(self, delivery: Delivery, body: bytes | None) -> None:
        """The record of a job that waits already came again: publish what its row holds."""
        delivery.settled = True
        if body is None:
            delivery.done()
            self.read_on()
        else:
            self._publisher.publish(Publication(delivery, body, None, After.POSITION))

    def park(self, delivery: Delivery, body: bytes | None, ending: Ending | None = None) -> None:
        """A row of the waiting room carries a dispatched job from now on."""
        self._observer.parked(delivery, ending)
        after = After.POSITION
        if delivery.waits:
            after = After.NOTHING if ending is None else After.ROW
        self._leave(delivery)
        if body is not None:
            self._publisher.publish(Publication(delivery, body, ending, after))
        elif after is After.POSITION:
            delivery.done()
            self.read_on()

    def supersede(self, delivery: Delivery) -> None:
        """A row of a later generation carries the job, and this one has none."""
        self._observer.parked(delivery, None)
        self._end(delivery)
        if not delivery.waits:
            delivery.done()
            self.read_on()

    def abandon(self, delivery: Delivery) -> None:
        """A dispatched job is not ours any more: nothing is published, no position moves."""
        self._leave(delivery)

    def give_back(self, delivery: Delivery) -> None:
        """A dispatched job goes back to where it was, to be started again."""
        if delivery.partition.open:
            delivery.partition.out -= 1
            self._memory.put_back(delivery)
            self.wake()
        else:
            self._leave(delivery)

    def give_back_after(self, seconds: float, delivery: Delivery) -> None:
        """The same after a pause, which ends early where the job is ended from outside."""
        loop = asyncio.get_running_loop()
        self._paused[delivery] = loop.call_later(seconds, self._go_on, delivery)

    def end_pause(self, delivery: Delivery, row: LedgerRow) -> bool:
        """Settle a pausing job, which ended as `row` says; False where it does not pause."""
        pause = self._paused.pop(delivery, None)
        if pause is None:
            return False
        pause.cancel()
        self.settle_as(delivery, row)
        return True

    def _go_on(self, delivery: Delivery) -> None:
        del self._paused[delivery]
        self.give_back(delivery)

    def _publish(
        self, delivery: Delivery, body: bytes, ending: Ending, *, follow_ups: bool
    ) -> None:
        after = After.ROW if delivery.waits else After.POSITION
        self._publisher.publish(Publication(delivery, body, ending, after, follow_ups))

    def _end(self, delivery: Delivery) -> None:
        self._leave(delivery)
        self._memory.lines.ended(delivery)

    def _leave(self, delivery: Delivery) -> None:
        delivery.settled = True
        delivery.partition.out -= 1
        self._memory.forget(delivery)
        self._memory.mailboxes.release(delivery.entity)
        self.wake()
