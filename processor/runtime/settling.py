"""What happens once a job's outcome is durable, or this worker has no more to do with it?

Settled: the entity's next job may start, and the outcome goes to be published. Done, which is when
the position may pass, it is only after the journal's acknowledgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.mailbox import Mailboxes
    from processor.ports.ledger import Ending, LedgerRow
    from processor.runtime.delivery import Delivery, Name
    from processor.runtime.publisher import Publisher


class Settling:
    """Takes jobs out of the worker's hands."""

    def __init__(
        self,
        mailboxes: Mailboxes[Delivery],
        reserved: dict[Name, Delivery],
        publisher: Publisher,
        wake: Callable[[], None],
    ) -> None:
        self._mailboxes = mailboxes
        self._reserved = reserved
        self._publisher = publisher
        self._wake = wake

    def settle(
        self, delivery: Delivery, body: bytes, ending: Ending, *, follow_ups: bool = False
    ) -> None:
        """This worker's own outcome of a dispatched job is durable."""
        self._leave(delivery)
        self._publisher.publish(delivery, body, ending, follow_ups=follow_ups)

    def settle_as(self, delivery: Delivery, row: LedgerRow) -> None:
        """A dispatched job turned out to have ended as `row` says."""
        self._leave(delivery)
        self.republish(delivery, row)

    def republish(self, delivery: Delivery, row: LedgerRow) -> None:
        """Publish what the ledger holds, byte for byte; its follow-ups only for its own record."""
        names_record = (row.lane, row.offset) == (delivery.lane, delivery.offset)
        self._publisher.publish(delivery, row.body, row.ending, follow_ups=names_record)

    def abandon(self, delivery: Delivery) -> None:
        """A dispatched job is not ours any more: nothing is published, no position moves."""
        self._leave(delivery)

    def give_back(self, delivery: Delivery) -> None:
        """A dispatched job goes back before all others of its entity, to be started again."""
        if delivery.partition.open:
            delivery.partition.out -= 1
            self._mailboxes.give_back(delivery.entity, delivery.lane, delivery)
            self._wake()
        else:
            self._leave(delivery)

    def _leave(self, delivery: Delivery) -> None:
        delivery.partition.out -= 1
        self._reserved.pop(delivery.name, None)
        self._mailboxes.release(delivery.entity)
        self._wake()
