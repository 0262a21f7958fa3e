"""Who did what, when and why: who was the first to replay or to discard a dead letter?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.domain.changes import Change
    from processor.domain.ids import JobId

    Death = tuple[JobId, int]
    """A job and the generation that died."""


class OperationKind(StrEnum):
    """What operators do."""

    REPLAY = "replay"
    DISCARD = "discard"
    CANCEL = "cancel"
    EDIT = "edit"
    """A replay with another payload: in the record it is a replay, and the audit tells it."""
    HOLD = "hold"
    RELEASE = "release"
    PLAN = "plan"
    """A plan was made."""
    STOP = "stop"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked for, and by whom; of a replay or a discard by whom first."""

    kind: OperationKind
    job: JobId | None
    generation: int | None
    """The one that died, or that was cancelled."""
    actor: str
    reason: str
    at: int
    """Microseconds since the epoch, by the database's clock."""
    ours: bool = False
    """Whether this call was the first."""
    number: int = 0
    """Counts up, in the order of the record."""
    subject: str = ""
    """What it concerns, in words, where that is no single job."""
    plan: int | None = None
    """The plan that asked for it, or that it concerns."""
    payload: bytes | None = None
    """Of an edit: what the next generation is submitted with."""
    changes: tuple[Change, ...] = ()
    """Of an edit: how that differs from what died."""


class Edit(NamedTuple):
    """Another payload for the next generation."""

    payload: bytes
    changes: tuple[Change, ...]


class Note(NamedTuple):
    """What is written down of an operation that everybody may do again."""

    kind: OperationKind
    actor: str
    reason: str
    subject: str = ""
    job: JobId | None = None
    generation: int | None = None
    plan: int | None = None


class AuditQuery(NamedTuple):
    """Which operations are told; times in microseconds since the epoch."""

    since: int | None = None
    until: int | None = None
    kind: OperationKind | None = None
    actor: str | None = None
    job: JobId | None = None
    singly: bool = False
    """Also each replay and discard that a plan asked for."""
    before: int | None = None
    """Only with a lower number: the next page."""
    limit: int = 1000


class Operations(Protocol):
    """The record of operations; nothing in it changes. Raises `Fault` where nothing answers."""

    async def first(
        self,
        kind: OperationKind,
        deaths: Sequence[Death],
        actor: str,
        because: str,
        *,
        plan: int | None = None,
        edit: Edit | None = None,
    ) -> list[Operation]:
        """Write each down, or read who did so before; asking again changes nothing.

        In the order given; `deaths` must not name one twice.
        """
        ...

    async def of(self, deaths: Sequence[Death]) -> list[Operation]:
        """Replays and discards of these generations' dead letters; none of them counts as ours."""
        ...

    async def note(self, note: Note) -> None:
        """Write an operation down that has no first."""
        ...

    async def told(self, query: AuditQuery) -> list[Operation]:
        """The audit, the newest first; a replay with another payload is told as an edit."""
        ...
