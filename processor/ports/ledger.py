"""What is known of jobs that ended or wait, and how is an end written down?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.ownership import Fence


class Ending(StrEnum):
    """How a generation ended, as the ledger holds it."""

    COMPLETE = "c"
    FAILED = "f"
    CANCELLED = "x"
    DISCARDED = "d"


class Answer(Enum):
    """What the database says to a write about a job."""

    DONE = 0
    """Written; or, of a begin: run it."""
    BUSY = 1
    """Somebody holds the entity's lock: give everything back and come again."""
    SETTLED = 2
    """The generation has ended, or a later one exists; read the winner."""
    STALE = 3
    """What this worker knows of the entity is not what stands: check ownership, look up anew."""
    FENCED = 4
    """The partition has another owner."""


class Entry(NamedTuple):
    """One row for the ledger: the end of (job, generation)."""

    job: JobId
    generation: int
    partition: int
    lane: Priority
    offset: int
    body: bytes
    """The encoded outcome."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of the ledger."""

    job: JobId
    generation: int
    ending: Ending
    partition: int
    lane: Priority
    offset: int
    body: bytes


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """What a look-up tells of a row of the waiting room."""

    job: JobId
    generation: int
    revision: int
    state: str
    holds: bool
    entity_key: int
    lane: Priority
    place: int
    body: bytes | None = None
    """Its outcome so far, to be published again by whoever meets its record again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What ledger and waiting room know of some jobs and of their entities."""

    ledger: list[LedgerRow]
    waiting: list[WaitingRow]
    """Rows of those jobs, and every unsettled row that holds one of those entities."""
    spilled: Mapping[int, Priority]
    """The most urgent lane in which an entity, among those asked for, has queued rows."""

    def heads(self) -> dict[int, WaitingRow]:
        """By entity the row that holds it."""
        return {row.entity_key: row for row in self.waiting if row.holds}


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a group flush came to."""

    winners: Sequence[Entry | LedgerRow | None]
    """For each entry itself where it is written; else the row that stands in its place, read back
    in a new statement; None where fenced."""
    fenced: frozenset[int]
    """Partitions that are no longer ours; nothing of them was written."""


class Ledger(Protocol):
    """One row per (job, generation); the first insert wins.

    Every method raises `Fault` when the database cannot be reached; the caller repeats.
    """

    async def look_up(
        self, partitions: Collection[int], jobs: Collection[JobId], entities: Collection[int]
    ) -> Known:
        """What is known of a fetched batch of some partitions, in one round trip."""
        ...

    async def flush(self, fences: Sequence[Fence], entries: Sequence[Entry]) -> Flushed:
        """Write many completions at once, under the tokens of their partitions.

        An entry that meets another's row is not written; its winner is read back.
        """
        ...

    async def fail(self, fence: Fence, entity_key: int, entry: Entry, revision: int = 0) -> Answer:
        """Write one failure, under the fence and the entity's lock; never waits for the lock."""
        ...

    async def row(self, job: JobId, generation: int) -> LedgerRow | None:
        """The row that settles (job, generation): its own, or that of the deciding generation."""
        ...


class Fault(Exception):  # noqa: N818 - the design's word
    """The infrastructure failed: a lost connection, a deadlock, a serialization failure.

    What it interrupted is repeated without counting; a COMMIT it interrupted may have happened.
    """


class Conflict(Fault):
    """Somebody else held what was wanted: a deadlock, or a lock that was waited for too long."""
