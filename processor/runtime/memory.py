"""What does a worker hold in memory of its jobs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.mailbox import Mailboxes
from processor.domain.priority import LANES
from processor.runtime.lines import Lines

if TYPE_CHECKING:
    from processor.runtime.delivery import Delivery, Name


class Memory:
    """The mailboxes, the ids that are taken, and what is known of the waiting room."""

    def __init__(self) -> None:
        self.mailboxes: Mailboxes[Delivery] = Mailboxes()
        self.reserved: dict[Name, Delivery] = {}
        """Every job that is in a mailbox, out, or about to be: a second record attaches to it."""
        self.rows: dict[Name, Delivery] = {}
        """Those of them that a row of the waiting room carries."""
        self.rows_gone = [0 for _ in LANES]
        """How many have ended or went back to their table, by lane."""
        self.lines = Lines(self.mailboxes)

    def reserve(self, delivery: Delivery) -> None:
        """Take a job's id for what is in memory of it."""
        self.reserved[delivery.name] = delivery
        if delivery.waits:
            self.rows[delivery.name] = delivery

    def carried(self, delivery: Delivery) -> None:
        """A row carries a job that is in memory from now on."""
        delivery.carried(delivery.revision + 1)
        self.rows[delivery.name] = delivery

    def forget(self, delivery: Delivery) -> None:
        """Let the id go: a further record of the job is looked up anew."""
        if self.reserved.get(delivery.name) is delivery:
            del self.reserved[delivery.name]
            if self.rows.pop(delivery.name, None) is not None:
                self.rows_gone[delivery.lane] += 1

    def put_back(self, taken: Delivery) -> None:
        """Put a job that was taken back where it was: first of all if it is its entity's head."""
        leads = self.lines.head_of(taken.entity) == taken.record.job
        self.mailboxes.give_back(taken.entity, taken.lane, taken.offset, taken, leads=leads)
