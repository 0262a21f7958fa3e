"""What does an operator see of the whole: workers, lanes, one entity?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.holds import Hold
    from processor.ports.ownership import Positions
    from processor.ports.situations import LiveWorker
    from processor.ports.waiting_room import Waiting, WaitingState


COUNTED_OF_ONE = 10_000
"""More rows of one entity and state than these are not counted."""


@dataclass(frozen=True, slots=True)
class LongRun:
    """A job that has run for longer than its partition could wait."""

    job: JobId
    partition: int
    since: int
    """When it came into the waiting room as running, in microseconds since the epoch."""
    runs: int


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker, what it owns, and what runs there for long."""

    worker: LiveWorker
    started_at: int
    partitions: tuple[int, ...]
    long_runs: tuple[LongRun, ...]


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """All of them, in one snapshot."""

    workers: tuple[WorkerSeen, ...]
    without_owner: tuple[int, ...]
    """Partitions that no known worker owns."""


@dataclass(frozen=True, slots=True)
class EntitySeen:
    """What waits of one entity, in one snapshot."""

    head: Waiting | None
    """The one that goes first: no other job of the entity runs."""
    waiting: tuple[Waiting, ...]
    """The first of its other jobs that wait, in their order."""
    by_state: Mapping[WaitingState, int]
    """All of them, of each state up to `COUNTED_OF_ONE`."""
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """How everything stands, in one snapshot."""

    positions: Mapping[int, Positions]
    """Of the partitions that were ever owned."""
    ended_lately: Mapping[Priority, int]
    """Jobs of each lane that ended within the last `LATELY` seconds."""
    waiting: int
    """Rows of the waiting room, about."""
    heads: Mapping[WaitingState, int]
    """Entities whose head retries or, `BLOCKING`, waits for an operator: of each partition up to
    `COUNTED`."""
    holds: tuple[Hold, ...]


class Views(Protocol):
    """Reads them; raises `Fault` when the database cannot be reached."""

    async def workers(self) -> WorkersSeen:
        """Every worker that is known."""
        ...

    async def entity(self, tenant: str | None, entity: str, limit: int) -> EntitySeen:
        """One entity, and at most so many of its waiting jobs beside the head."""
        ...

    async def whole(self) -> Whole:
        """Everything at once; its cost does not grow with the jobs that wait."""
        ...
