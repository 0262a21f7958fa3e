"""What is kept of a job that failed for good, and what are other teams told?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from processor.domain.ids import dead_letter_id

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.events import ErrorDetail, Reason
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.submission import Caller, Trace


class DeadLetterKind(StrEnum):
    """What happened to a dead letter."""

    DIED = "died"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class AttemptError:
    """The error of one attempt, and when."""

    at: int
    attempt: int
    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class DeadLetterFact:
    """A fact about the dead letter of (job, generation); the open ones are the fold of the facts.

    A pure function of one record: of the outcome that failed (*died*, everything is set), of the
    lane's record of the next generation (*replayed*) or of its outcome (*discarded*): of these only
    the names, the time, and who and why.
    """

    kind: DeadLetterKind
    job: JobId
    generation: int
    """The generation that died."""
    at: int
    tenant: str | None = None
    entity: str = ""
    type: str = ""
    lane: Priority | None = None
    reason: Reason | None = None
    place: str = ""
    """Where the last error was raised; with `type` the error group."""
    errors: tuple[AttemptError, ...] = ()
    submission: bytes | None = None
    """The submission's record, whole; raw bytes where it could not be decoded."""
    progress: str = ""
    caller: Caller | None = None
    trace: Trace | None = None
    release: str = ""
    worker: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    started_at: int | None = None
    actor: str = ""
    because: str = ""

    @property
    def id(self) -> UUID:
        """The dead letter's id."""
        return dead_letter_id(self.job, self.generation)


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The EventBus's first event: a job's generation has failed for good."""

    job: JobId
    generation: int
    type: str
    tenant: str | None
    entity: str
    reason: Reason
    error: ErrorDetail
    attempts: int
    dead_letter: UUID
    batch: UUID | None
    request_id: str | None
    trace: Trace | None
    at: int
    event_id: UUID
    """By which a subscriber recognises a copy."""
