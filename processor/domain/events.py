"""What can have happened to a job?

Each event is an immutable fact. Durable ones are numbered within a generation's outcome;
`Progressed` and a `Started` that was published early are ephemeral: they only count until the
outcome is there. A reader passes on an event of a kind it does not know as `Unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.changes import Change
    from processor.domain.priority import Priority
    from processor.domain.submission import Replay, Trace


class Reason(StrEnum):
    """Why an attempt or a job failed; dashboards, dead letters and code share these words."""

    PARSE_ERROR = "ParseError"
    UNDECODABLE = "Undecodable"
    HANDLER_MISSING = "HandlerMissing"
    REJECTED = "Reject"
    TRY_AGAIN = "TryAgain"
    ATTEMPT_TIMEOUT = "AttemptTimeout"
    RESULT_INVALID = "ResultInvalid"
    TRANSACTION_MISUSED = "TransactionMisused"
    WORKER_LOST = "WorkerLost"
    HANDLER_FAILED = "HandlerFailed"
    """Any other exception of the handler."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One error as operators see it; never holds a value of the payload for a `ParseError`."""

    reason: Reason
    type: str
    """The exception's class name."""
    message: str
    place: str = ""
    """module:function:line where it was raised; groups dead letters."""
    fields: tuple[str, ...] = ()
    """Paths of the fields that do not fit, e.g. `air_time` or `legs.0.tail`."""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """The submission stands in its lane: generation 1, or a later one by replay."""

    at: int
    """When the log appended it."""
    generation: int
    lane: Priority
    partition: int
    offset: int
    type: str
    entity: str
    tenant: str | None = None
    batch: UUID | None = None
    not_before: int | None = None
    trace: Trace | None = None
    replay: Replay | None = None
    changes: tuple[Change, ...] = ()
    """Of an edited replay: how its payload differs from what died."""


@dataclass(frozen=True, slots=True)
class Started:
    """A run of the handler began."""

    at: int
    attempt: int
    run: int
    worker: str
    release: str
    partition: int
    lane: Priority
    trace: Trace | None = None
    """The attempt's own span."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """The running handler told how far it is; ephemeral."""

    at: int
    percent: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed and the policy grants another."""

    at: int
    attempt: int
    error: ErrorDetail
    due_at: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; its effect and this outcome were committed together."""

    at: int
    result: bytes
    """JSON; `null` where the handler returned nothing."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The generation ended in failure and left a dead letter."""

    at: int
    attempt: int
    """0 where no attempt was made."""
    reason: Reason
    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled the job before it ended."""

    at: int
    actor: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Discarded:
    """Somebody closed the dead letter without replaying it."""

    at: int
    actor: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event of a kind that a later release writes; passed on untouched."""

    kind: str
    body: bytes


Durable = Started | Retrying | Completed | Failed | Cancelled | Discarded | Unknown
Event = Queued | Progressed | Durable
End = Completed | Failed | Cancelled | Discarded
