"""What is kept of a job that failed for good, and what are other teams told?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from processor.domain.events import Discarded, Failed, Retrying, Started
from processor.domain.ids import dead_letter_id, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.domain.events import Durable, ErrorDetail, Reason
    from processor.domain.ids import JobId
    from processor.domain.outcome import Outcome
    from processor.domain.priority import Priority
    from processor.domain.submission import Caller, SubmissionRecord, Trace


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


def died(
    outcome: Outcome, submission: SubmissionRecord | None, topic: str
) -> DeadLetterFact | None:
    """The fact that a failed outcome makes; None for an outcome that did not fail.

    `submission` is the outcome's own, decoded; None where it cannot be. `topic` names its lane.
    """
    end = outcome.end
    if not isinstance(end, Failed):
        return None
    runs = [event for event in outcome.events if isinstance(event, Started)]
    last = runs[-1] if runs else None
    asked = submission.trace if submission else None
    return DeadLetterFact(
        kind=DeadLetterKind.DIED,
        job=outcome.job,
        generation=outcome.generation,
        at=end.at,
        tenant=outcome.tenant,
        entity=outcome.entity,
        type=outcome.type,
        lane=outcome.lane,
        reason=end.reason,
        place=end.error.place,
        errors=errors_of(outcome.events),
        submission=outcome.submission,
        caller=submission.caller if submission else None,
        trace=last.trace or asked if last else asked,
        release=last.release if last else "",
        worker=last.worker if last else "",
        topic=topic,
        partition=outcome.partition,
        offset=outcome.offset,
        started_at=runs[0].at if runs else None,
    )


def errors_of(events: Sequence[Durable]) -> tuple[AttemptError, ...]:
    """The error of every attempt that failed, in order."""
    return tuple(
        AttemptError(event.at, event.attempt, event.error)
        for event in events
        if isinstance(event, Retrying | Failed)
    )


def replayed(record: SubmissionRecord, at: int) -> DeadLetterFact | None:
    """The fact that a replay's record makes; None for a first generation or a strange letter.

    The generation that died is the one whose letter the replay names: a discard may stand between.
    """
    replay = record.replay
    if replay is None:
        return None
    for generation in range(record.generation - 1, 0, -1):
        if dead_letter_id(record.job, generation) == replay.dead_letter:
            return DeadLetterFact(
                kind=DeadLetterKind.REPLAYED,
                job=record.job,
                generation=generation,
                at=at,
                actor=replay.actor,
                because=replay.because,
            )
    return None


def discarded(outcome: Outcome) -> DeadLetterFact | None:
    """The fact that a discard makes, which is an outcome of the generation after the dead one."""
    end = outcome.end
    if not isinstance(end, Discarded):
        return None
    return DeadLetterFact(
        kind=DeadLetterKind.DISCARDED,
        job=outcome.job,
        generation=outcome.generation - 1,
        at=end.at,
        actor=end.actor,
        because=end.because,
    )


def job_failed(outcome: Outcome, submission: SubmissionRecord | None = None) -> JobFailed | None:
    """What other teams are told of a failed outcome; None for an outcome that did not fail.

    `submission` is the outcome's own, decoded; None where it cannot be.
    """
    end = outcome.end
    if not isinstance(end, Failed):
        return None
    runs = [event for event in outcome.events if isinstance(event, Started)]
    asked = submission.trace if submission else None
    return JobFailed(
        job=outcome.job,
        generation=outcome.generation,
        type=outcome.type,
        tenant=outcome.tenant,
        entity=outcome.entity,
        reason=end.reason,
        error=end.error,
        attempts=end.attempt,
        dead_letter=dead_letter_id(outcome.job, outcome.generation),
        batch=outcome.batch,
        request_id=outcome.request_id,
        trace=(runs[-1].trace if runs else None) or asked,
        at=end.at,
        event_id=event_id(
            outcome.job, outcome.generation, outcome.timeline, len(outcome.events) - 1
        ),
    )
