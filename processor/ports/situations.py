"""What stands in the ledger's database about a job, its entity and its partition?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.holds import Hold
    from processor.ports.ledger import Ending
    from processor.ports.ownership import Owner
    from processor.ports.waiting_room import Waiting


class Seat(NamedTuple):
    """Where to look for a job: what its record, its history or its waiting row says."""

    partition: int
    lane: Priority
    entity_key: int
    place: int
    """Its record's offset; -1 where only its outcome is known."""


class Recorded(NamedTuple):
    """What the ledger's database holds of a job, as bytes: one of the two is there."""

    seat: Seat
    submission: bytes | None
    """Of the row by which it waits."""
    outcome: bytes | None
    """Of its newest end."""


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker's row."""

    id: UUID
    release: str
    types: frozenset[str]
    leaving: bool
    silent: float
    """Seconds since it last beat, by the database's clock."""


class Lock(NamedTuple):
    """Who holds an entity's lock: a backend of the database."""

    pid: int
    application: str
    """The name that its process gave the connection."""
    since: int
    """When its transaction began."""
    idle: bool
    """It is within a transaction and asks nothing."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What was found, all in one snapshot."""

    now: int
    """By the database's clock."""
    row: Waiting | None
    """How the job itself waits."""
    ending: tuple[int, Ending] | None
    """Generation and end of its newest row in the ledger."""
    head: Waiting | None
    """Its entity's head, where that is another job and not settled."""
    before: int
    """Queued rows of its entity that go before it, up to `COUNTED`."""
    owner: Owner | None
    workers: tuple[LiveWorker, ...]
    holds: tuple[Hold, ...]
    lock: Lock | None
    ended_lately: int
    """Jobs of its partition and lane that ended within the last `LATELY` seconds."""


class Situations(Protocol):
    """Reads them; raises `Fault` when the database cannot be reached."""

    async def seat(self, job: JobId) -> Seat | None:
        """Where a waiting job's row says that it sits; None where none waits."""
        ...

    async def recorded(self, job: JobId) -> Recorded | None:
        """A job of which no history tells, as it waits or has ended; None where neither is so."""
        ...

    async def of(self, job: JobId, seat: Seat) -> Situation:
        """Everything that decides whether the job may run."""
        ...


COUNTED = 1_000
"""More than so many jobs before one are not counted."""
LATELY = 10.0
"""Seconds over which a lane's rate is told."""
