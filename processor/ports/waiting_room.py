"""How does a job wait longer than it takes to run, and come back?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.ledger import Answer
    from processor.ports.ownership import Fence


LONGEST: Final = 100 * 365 * 86_400.0
"""Seconds that a delay is cut to: a policy's may be without end."""


class WaitingState(StrEnum):
    """Why a row waits, as the table holds it."""

    QUEUED = "q"
    """Spilled, or behind its entity's head."""
    SCHEDULED = "s"
    RETRYING = "r"
    RUNNING = "u"
    """It runs longer than its partition can wait."""
    HELD = "h"
    BLOCKING = "b"
    """Dead; its entity waits for an operator."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What is to be written about a job that waits."""

    job: JobId
    generation: int
    entity_key: int
    state: WaitingState
    lane: Priority
    """With `place` its order among its entity's jobs: of the first sighting."""
    place: int
    submission: bytes
    holds: bool = False
    """Whether it is its entity's one head: no other job of the entity may run."""
    due_in: float | None = None
    """Seconds from the database's now; None where time alone does not bring it back."""
    due_at: int | None = None
    """Microseconds since the epoch, instead of `due_in`."""
    hold: int | None = None
    attempt: int = 0
    runs: int = 0
    faults: int = 0
    body: bytes | None = None
    """Its encoded outcome so far; None where nothing has happened yet."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row as it stands."""

    wait: Wait
    partition: int
    revision: int
    """Counts the writes; whoever writes names the one he knows."""
    since: int
    """When it began to wait in this state, in microseconds since the epoch.

    To be held by a hold and to be held without one are two states here.
    """


class WaitingRoom(Protocol):
    """The jobs of a partition that wait; every write is fenced by the partition's token.

    Every method raises `Fault` when the database cannot be reached; the caller repeats.
    """

    async def record(
        self,
        fence: Fence,
        wait: Wait,
        revision: int,
        *,
        died: bytes | None = None,
        lock: bool = True,
    ) -> Answer:
        """Write one row in the place of the one with this revision (0: there is none).

        Tries the entity's lock, unless `lock` is False: then the caller's own running job holds it.
        With `died` the generation ends as failed in the same transaction. Settled heads of the
        entity are unmarked. DONE, BUSY, SETTLED, STALE or FENCED.
        """
        ...

    async def enqueue(
        self, fence: Fence, waits: Sequence[Wait], *, locked: Collection[int] = ()
    ) -> list[Answer]:
        """Write rows that hold nothing, each as by `record` with revision 0, all in one go.

        `locked` names entities whose lock the caller's own running jobs hold. A row that is
        there already, or one of a later generation, is answered SETTLED if its job has ended, else
        STALE, as is one behind an earlier generation of itself that holds and has not ended. One
        busy entity costs only its own rows.
        """
        ...

    async def due(
        self, partitions: Collection[int], besides: Collection[JobId], limit: int
    ) -> list[Waiting]:
        """Rows whose time has come by the database's clock, the oldest first."""
        ...

    async def queues(self, entities: Sequence[tuple[int, int]], limit: int) -> list[list[Waiting]]:
        """Of each entity the queued rows that have not ended, in their order: lane, then place.

        `entities` are pairs of partition and entity's key, none twice; `limit` is for each of them.
        """
        ...

    async def replay_in_place(
        self, fence: Fence, entity_key: int, job: JobId, generation: int, submission: bytes
    ) -> Answer:
        """Turn the row of the generation before into this one's retrying row, due now.

        It goes on holding its entity: it blocks, or a failover forgot that it was dead; or that it
        was discarded, then it is of a generation before that. DONE, BUSY, SETTLED, STALE (no row
        that holds) or FENCED.
        """
        ...


class Rows(Protocol):
    """How a job waits, as who works on no partition asks; raises `Fault` as the others do."""

    async def row(self, job: JobId) -> Waiting | None:
        """The row of a job's newest generation that waits."""
        ...


class Sweeping(Protocol):
    """Finds and clears what nobody's turn brings back; raises `Fault` as the waiting room does.

    `stranded` and `settled` look at a bounded part of the room in each call and go on where the
    last one ended, so that all of it is seen in turn; as many as `limit` means: ask again at once.
    """

    async def stranded(self, partitions: Collection[int], limit: int) -> list[tuple[int, int]]:
        """(partition, entity) of queued rows whose entity has no unsettled head."""
        ...

    async def settled(self, partitions: Collection[int], limit: int) -> list[Waiting]:
        """Rows that are settled in the ledger and still there: their outcome is to be published.

        A blocking row is settled once a later generation is in the ledger.
        """
        ...

    async def orphans(
        self, partitions: Collection[int], limit: int, besides: Collection[int] = ()
    ) -> list[Waiting]:
        """Rows whose hold is no longer open: they were parked while it was released (H45).

        Without those of the holds named in `besides`.
        """
        ...

    async def remove(self, rows: Collection[tuple[JobId, int]]) -> None:
        """Delete rows (job, generation) that are acknowledged, or whose job a later row carries.

        Any other stays: a blocking row until there is a later generation, and time alone does not
        bring it back any more.
        """
        ...

    async def wake(
        self,
        partition: int,
        states: Collection[WaitingState],
        *,
        but_of_holds: Collection[int] = (),
    ) -> None:
        """Make a partition's rows of these states due now: a new owner looks at them afresh.

        What one of the named holds keeps is left as it is.
        """
        ...

    async def wake_hold(self, hold: int, partitions: Collection[int], limit: int) -> int:
        """Make so many rows that a hold kept due now, and tied to it no longer; how many.

        They wait since now: what they wait for next has nothing to do with the hold.
        """
        ...

    async def wake_probe(self, hold: int, partitions: Collection[int]) -> bool:
        """Make one of the rows that a hold keeps due now, and leave it tied; False without one.

        Of those that are looked at the one with the fewest attempts: an outage shall not cost one
        job all of its own.
        """
        ...


class Room(WaitingRoom, Sweeping, Rows, Protocol):
    """All of it, as one adapter gives them."""
