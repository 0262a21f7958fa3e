"""Where do projections keep their rows and their checkpoints?

Rows hold whole records; what a projection needs of them stands beside the body. Times are
microseconds since the epoch, UTC. Every method raises `Fault` when the database cannot be reached;
the caller repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from processor.domain.selection import EVERY, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.ports.log import Place


class HistoryRow(NamedTuple):
    """A submission (timeline 0, `upto` = its lane - 4) or an outcome (`upto` events)."""

    job: bytes
    """16 bytes, as they stand in the record."""
    generation: int
    timeline: int
    upto: int
    partition: int
    offset: int
    at: int
    """When the log appended it."""
    ended_at: int | None
    body: bytes


class LiveRow(NamedTuple):
    """What a running job tells of itself; of one job the newest by (generation, run, at) stays."""

    job: bytes
    generation: int
    run: int
    at: int
    body: bytes


class AsideRow(NamedTuple):
    """A record that this release cannot decode, raw, until one can."""

    topic: str
    partition: int
    offset: int
    at: int
    """When the log appended it."""
    body: bytes


class Closing(StrEnum):
    """How a dead letter was closed."""

    REPLAYED = "r"
    DISCARDED = "d"


class LetterRow(NamedTuple):
    """One fact about a dead letter: of *died* everything but `closed`, else only how it closed.

    Written in any order, and often: what is known of a letter is only added to. *replayed* stands
    above *discarded*, which a replay undoes.
    """

    job: bytes
    generation: int
    id: UUID
    died_at: int | None = None
    closed: Closing | None = None
    tenant: str | None = None
    type: str | None = None
    place: str | None = None
    body: bytes | None = None
    """The fact *died*, encoded; None while only the closing is known."""
    partition: int = 0
    first_fact: int = 0
    """The lowest offset of its facts in that partition of the dead-letter topic."""
    last_fact: int = 0
    """The highest."""
    release: str | None = None
    """Of the worker that ran it last."""
    entity_key: int | None = None
    lane: int | None = None
    """With `offset` the record that died: its order within its entity."""
    offset: int | None = None


class Move(NamedTuple):
    """An advance of a checkpoint from where the projector believes it to stand."""

    place: Place
    before: int
    after: int


Passed = tuple[int, int]
"""An entity's key, and when one of its jobs died or completed."""


def _nobody(_completed: list[tuple[bytes, int]]) -> list[Passed]:
    return []


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction of a projection writes beside its checkpoints."""

    history: list[HistoryRow] = field(default_factory=list)
    live: list[LiveRow] = field(default_factory=list)
    letters: list[LetterRow] = field(default_factory=list)
    aside: list[AsideRow] = field(default_factory=list)
    recovered: list[AsideRow] = field(default_factory=list)
    """Rows no longer to be kept aside, since this batch holds what they became."""
    died: list[Passed] = field(default_factory=list)
    """Entities of which a job died."""
    completed: list[tuple[bytes, int]] = field(default_factory=list)
    """Outcomes of jobs that completed, and when."""
    passed: Callable[[list[tuple[bytes, int]]], list[Passed]] = field(
        default=_nobody, compare=False
    )
    """Whose entities they are of; asked only where anybody waits to know."""


class Projections(Protocol):
    """Tables folded from the log, and how far each projection has read."""

    async def begin(self, projection: str, starts: Mapping[Place, int]) -> Mapping[Place, int]:
        """The checkpoints of these places; one that has none yet gets it where told."""
        ...

    async def write(self, projection: str, moves: Sequence[Move], batch: Batch) -> bool:
        """Write rows and advance checkpoints, all or nothing.

        False, and nothing written, where a checkpoint does not stand at its `before`: another
        projector is at work. Rows that are there already stay as they are.
        """
        ...

    async def kept_aside(self, topics: Collection[str], after: AsideRow | None) -> list[AsideRow]:
        """The next rows kept aside of these topics, in the order of topic, partition, offset."""
        ...


class JobRecords(NamedTuple):
    """The records of one job, in any order."""

    history: Sequence[HistoryRow]
    live: Sequence[LiveRow]


class HistoryRows(Protocol):
    """What `History` is folded from."""

    async def of(self, job: JobId) -> JobRecords:
        """Every row about a job, from one snapshot."""
        ...

    async def checkpoint(self, projection: str, place: Place) -> int | None:
        """The next offset that a projection has not read; None where it never read there."""
        ...


class LetterQuery(NamedTuple):
    """Which dead letters to list."""

    selection: Selection = EVERY
    after: LetterRow | None = None
    """The last row of the page before."""
    limit: int = 100


class LetterGroup(NamedTuple):
    """Open dead letters that died of the same thing."""

    type: str
    place: str
    letters: int
    first_at: int
    last_at: int
    release: str = ""
    """Of the workers that ran them last; empty where that is not known."""
    tenants: tuple[str, ...] = ()
    """The first of them by name, at most `TENANTS_TOLD`."""
    tenant_count: int = 0
    overtaken: int = 0
    """Letters whose entity has completed another job since."""


TENANTS_TOLD: Final = 10


class Chosen(NamedTuple):
    """How much a selection has chosen."""

    letters: int
    entities: int


class LetterRows(Protocol):
    """The dead letters, as operators ask for them."""

    async def by_id(self, dead_letter: UUID) -> LetterRow | None:
        """One letter, open or closed."""
        ...

    async def chosen(self, query: LetterQuery) -> list[LetterRow]:
        """The letters that a selection chooses, in the order of death, a page at a time."""
        ...

    async def size(self, selection: Selection = EVERY) -> Chosen:
        """How many a selection chooses; of all that are open where it says nothing."""
        ...

    async def groups(self, selection: Selection = EVERY) -> list[LetterGroup]:
        """What it chooses by type, place and release, the largest group first."""
        ...
