"""What does a worker know of a job that it has read, from its lane or from the waiting room?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.ledger import Entry
from processor.ports.transactions import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from processor.domain.events import Durable, ErrorDetail
    from processor.domain.position import Position
    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.run import Run

    Name = bytes


class Delivery:
    """One job on its way: to being done, if its record came from a lane, else to being removed."""

    # No slots: most jobs have nothing but these defaults, which cost nothing to set.
    copies: Sequence[tuple[Priority, int, int]] = ()
    """Lane, offset and size of further records of this job and generation: done with it."""
    revision = 0
    """Of its row in the waiting room; 0 while it has none."""
    attempt = 0
    """The last attempt that counted."""
    runs = 0
    events: tuple[Durable, ...] = ()
    """What its generation's outcome holds so far."""
    body: bytes | None = None
    """The same, encoded, as its row has it."""
    unhandled_since = 0
    """Since when it waits for a handler of its type, in microseconds since the epoch, or 0."""
    cancelled = False
    """Somebody cancelled the job: its attempt is stopped and what the ledger says is told."""
    stopped = False
    """The worker has stopped its attempt: any other cancellation is not of our making."""
    settled = False
    """Its end is durable, or this worker has no more to do with it."""
    told = False
    """Its end is acknowledged in the journal, and its row was removed or laid to rest."""
    corrupt: ErrorDetail | None = None
    """Set where no handler runs: the record cannot be decoded, or has killed its workers."""
    faults = 0
    """Repeats that the infrastructure caused."""
    returned = 0
    """How often the entity's lock was held by somebody else."""
    running: Run | None = None
    """What the attempt tells of itself while it runs."""

    def __init__(
        self,
        record: SubmissionRecord,
        value: bytes,
        partition: OwnedPartition,
        lane: Priority,
        offset: int,
        entity: int,
    ) -> None:
        self.record = record
        self.value = value
        """The record's bytes, as they are embedded in a failure."""
        self.partition = partition
        self.lane = lane
        self.offset = offset
        self.entity = entity
        """The entity's lock key, which names its mailbox."""
        self.name: Name = (
            record.job.int.to_bytes(16) + record.generation.to_bytes(4) + partition.spell
        )
        """By which a further record of the same job and generation is recognised.

        Within one spell of owning the partition: a copy attached to a delivery of an older spell,
        which is thrown away, would never be done.
        """

    def claim(self) -> Claim | None:
        """Which job a transaction is for; none once its partition is lost.

        Nothing guards its begin then: in a database that was restored every token stands again.
        """
        if self.partition.lost:
            return None
        return Claim(
            self.record.job,
            self.record.generation,
            self.partition.number,
            self.lane,
            self.offset,
            self.entity,
            self.revision,
        )

    def entry(self, body: bytes) -> Entry:
        """The row that ends this job with an encoded outcome."""
        return Entry(
            self.record.job,
            self.record.generation,
            self.partition.number,
            self.lane,
            self.offset,
            body,
        )

    @property
    def waits(self) -> bool:
        """Whether a row of the waiting room carries it, and no position waits for it."""
        return self.revision > 0

    def attach(self, lane: Priority, offset: int, size: int) -> None:
        """Take a further record of this job and generation along."""
        self.copies = (*self.copies, (lane, offset, size))

    def carried(self, revision: int) -> None:
        """A row carries it from now on: the positions may pass."""
        if not self.waits:
            self.done()
            self.copies = ()
        self.revision = revision

    def done(self) -> None:
        """Let the positions pass: the outcome is durable and acknowledged."""
        self.partition.done(self.lane, self.offset, len(self.value))
        for lane, offset, size in self.copies:
            self.partition.done(lane, offset, size)


def done_together(deliveries: Iterable[Delivery]) -> None:
    """The same as `done` of each: many are acknowledged at once."""
    offsets: dict[Position, list[int]] = {}
    for delivery in deliveries:
        partition, lane = delivery.partition, delivery.lane
        partition.held_bytes[lane] -= len(delivery.value)
        position = partition.positions[lane]
        line = offsets.get(position)
        if line is None:
            offsets[position] = [delivery.offset]
        else:
            line.append(delivery.offset)
        for copy in delivery.copies:
            partition.done(*copy)
    for position, line in offsets.items():
        position.done_together(line)
