"""What does a worker know of a job that it has read, from its lane or from the waiting room?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.ledger import Entry
from processor.ports.transactions import Claim

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.events import Durable, ErrorDetail
    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.run import Run

    Name = tuple[UUID, int, UUID]


class Delivery:
    """One job on its way: to being done, if its record came from a lane, else to being removed."""

    __slots__ = (
        "attempt",
        "body",
        "cancelled",
        "copies",
        "corrupt",
        "entity",
        "events",
        "faults",
        "lane",
        "offset",
        "partition",
        "record",
        "returned",
        "revision",
        "running",
        "runs",
        "settled",
        "stopped",
        "told",
        "unhandled_since",
        "value",
    )

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
        self.copies: list[tuple[Priority, int, int]] = []
        """Lane, offset and size of further records of this job and generation: done with it."""
        self.revision = 0
        """Of its row in the waiting room; 0 while it has none."""
        self.attempt = 0
        """The last attempt that counted."""
        self.runs = 0
        self.events: tuple[Durable, ...] = ()
        """What its generation's outcome holds so far."""
        self.body: bytes | None = None
        """The same, encoded, as its row has it."""
        self.unhandled_since = 0
        """Since when it waits for a handler of its type, in microseconds since the epoch, or 0."""
        self.cancelled = False
        """Somebody cancelled the job: its attempt is stopped and what the ledger says is told."""
        self.stopped = False
        """The worker has stopped its attempt: any other cancellation is not of our making."""
        self.settled = False
        """Its end is durable, or this worker has no more to do with it."""
        self.told = False
        """Its end is acknowledged in the journal, and its row was removed or laid to rest."""
        self.corrupt: ErrorDetail | None = None
        """Set where no handler runs: the record cannot be decoded, or has killed its workers."""
        self.faults = 0
        """Repeats that the infrastructure caused."""
        self.returned = 0
        """How often the entity's lock was held by somebody else."""
        self.running: Run | None = None
        """What the attempt tells of itself while it runs."""

    @property
    def name(self) -> Name:
        """By which a further record of the same job and generation is recognised.

        Within one spell of owning the partition: a copy attached to a delivery of an older spell,
        which is thrown away, would never be done.
        """
        return (self.record.job, self.record.generation, self.partition.fence.token)

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

    def carried(self, revision: int) -> None:
        """A row carries it from now on: the positions may pass."""
        if not self.waits:
            self.done()
            self.copies.clear()
        self.revision = revision

    def done(self) -> None:
        """Let the positions pass: the outcome is durable and acknowledged."""
        self.partition.done(self.lane, self.offset, len(self.value))
        for lane, offset, size in self.copies:
            self.partition.done(lane, offset, size)
