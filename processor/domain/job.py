"""By which rules does a job live?

`decide(command, job)` says which events follow from a command, or refuses with `IllegalTransition`;
`evolve(job, event)` says what the job is after an event. Both are pure and total: times, delays and
names are fields of the commands. Every legal step stands in `TRANSITIONS`; a step that is not there
is refused by both. The README's diagram is drawn from that table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from processor.domain.errors import IllegalTransition
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Event,
    Failed,
    Progressed,
    Queued,
    Reason,
    Retrying,
    Started,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.domain.events import Durable, ErrorDetail
    from processor.domain.priority import Priority
    from processor.domain.submission import Trace


class State(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    PROCESSING = "processing"
    RETRYING = "retrying"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({State.COMPLETE, State.FAILED, State.CANCELLED})

_S = State
TRANSITIONS: Final[Mapping[tuple[State | None, type[Event]], State]] = {
    (None, Queued): _S.QUEUED,
    (_S.SCHEDULED, Started): _S.PROCESSING,
    (_S.SCHEDULED, Failed): _S.FAILED,
    (_S.SCHEDULED, Cancelled): _S.CANCELLED,
    (_S.QUEUED, Started): _S.PROCESSING,
    (_S.QUEUED, Failed): _S.FAILED,
    (_S.QUEUED, Cancelled): _S.CANCELLED,
    (_S.PROCESSING, Started): _S.PROCESSING,
    (_S.PROCESSING, Progressed): _S.PROCESSING,
    (_S.PROCESSING, Retrying): _S.RETRYING,
    (_S.PROCESSING, Completed): _S.COMPLETE,
    (_S.PROCESSING, Failed): _S.FAILED,
    (_S.PROCESSING, Cancelled): _S.CANCELLED,
    (_S.RETRYING, Started): _S.PROCESSING,
    (_S.RETRYING, Failed): _S.FAILED,
    (_S.RETRYING, Cancelled): _S.CANCELLED,
    (_S.FAILED, Queued): _S.QUEUED,
    (_S.FAILED, Discarded): _S.FAILED,
}
"""From a state, by an event, to a state; `Queued` with a `not_before` makes it `scheduled`."""


@dataclass(frozen=True, slots=True)
class Job:
    """One submission's life, as far as its events tell."""

    state: State
    generation: int
    lane: Priority
    attempt: int = 0
    """The running or last attempt of this generation; 0 before the first."""
    run: int = 0
    not_before: int | None = None
    due_at: int | None = None
    worker: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    progress: Progressed | None = None
    reason: Reason | None = None
    error: ErrorDetail | None = None
    result: bytes | None = None
    """JSON of a complete job; None while there is no result."""
    trace: Trace | None = None
    discarded: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a run; `counted` says whether it is the policy's next attempt."""

    at: int
    worker: str
    release: str
    partition: int
    counted: bool = True
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Succeed:
    """End the running attempt with a result."""

    at: int
    result: bytes


@dataclass(frozen=True, slots=True)
class Fail:
    """End an attempt, or a job that never started one, with an error.

    `retry_at` is when the policy grants another attempt, None when it does not.
    """

    at: int
    error: ErrorDetail
    retry_at: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """End an unfinished job."""

    at: int
    actor: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """Close the dead letter of a failed job."""

    at: int
    actor: str
    because: str = ""


Command = Start | Succeed | Fail | Cancel | Discard


def decide(command: Command, job: Job) -> Durable:
    """The event that follows; raises `IllegalTransition` where the state does not allow it."""
    event = _event_of(command, job)
    if (job.state, type(event)) not in TRANSITIONS:
        raise IllegalTransition(_refusal(job.state, event))
    if job.discarded and isinstance(event, Discarded):
        raise IllegalTransition(_refusal(job.state, event))
    return event


def _event_of(command: Command, job: Job) -> Durable:
    match command:
        case Start(at, worker, release, partition, counted, trace):
            attempt = next_attempt(job.attempt, counted=counted)
            return Started(at, attempt, job.run + 1, worker, release, partition, job.lane, trace)
        case Succeed(at, result):
            return Completed(at, result)
        case Fail(at, error, retry_at):
            if retry_at is None:
                return Failed(at, job.attempt, error.reason, error)
            return Retrying(at, job.attempt, error, retry_at)
        case Cancel(at, actor, because):
            return Cancelled(at, actor, because)
        case Discard(at, actor, because):
            return Discarded(at, actor, because)
        case _:  # pragma: no cover - mypy proves it unreachable
            assert_never(command)


def next_attempt(attempt: int, *, counted: bool) -> int:
    """The number of a run's attempt, after the last one's; a job's first run always counts."""
    return attempt + 1 if counted or attempt == 0 else attempt


def evolve(job: Job | None, event: Event) -> Job:
    """The job after an event; raises `IllegalTransition` for a step that is not in the table.

    An event of an unknown kind leaves a known job as it is.
    """
    if isinstance(event, Unknown) and job is not None:
        return job
    state = TRANSITIONS.get((job.state if job else None, type(event)))
    if state is None:
        raise IllegalTransition(_refusal(job.state if job else None, event))
    if isinstance(event, Queued):
        return _queued(job, event)
    assert job is not None, "only Queued leads from no job"  # noqa: S101 - the table says so
    return _after(replace(job, state=state), event)


def _queued(job: Job | None, event: Queued) -> Job:
    if job is not None and event.generation <= job.generation:
        raise IllegalTransition(_refusal(job.state, event))
    state = State.QUEUED if event.not_before is None else State.SCHEDULED
    return Job(state, event.generation, event.lane, not_before=event.not_before, trace=event.trace)


def _after(job: Job, event: Event) -> Job:
    match event:
        case Started():
            return replace(
                job,
                attempt=event.attempt,
                run=event.run,
                worker=event.worker,
                started_at=event.at,
                trace=event.trace or job.trace,
                due_at=None,
                progress=None,
            )
        case Progressed():
            return replace(job, progress=event)
        case Retrying(at, attempt, error, due_at):
            return replace(job, attempt=attempt, error=error, reason=error.reason, due_at=due_at)
        case Completed(at, result):
            return replace(job, ended_at=at, result=result, error=None, reason=None)
        case Failed(at, _, reason, error):
            return replace(job, ended_at=at, due_at=None, reason=reason, error=error)
        case Cancelled(at):
            return replace(job, ended_at=at, due_at=None)
        case _:
            return replace(job, discarded=True)


def _refusal(state: State | None, event: Event) -> str:
    return f"a job that is {state or 'unknown'} cannot become so by {type(event).__name__}"
