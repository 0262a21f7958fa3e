"""How does somebody cancel a job, whatever it is doing?

The generation that is seen ends by an insert into the ledger, where the first wins, whether a
worker has seen its record or not. What the ledger then says is published, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from processor.domain.events import Cancelled, Durable, Queued
from processor.domain.job import ENDED, State
from processor.domain.outcome import Outcome, shorten
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Undecodable
from processor.ports.ledger import Ending, Entry
from processor.ports.operations import Note, OperationKind
from processor.ports.waiting_room import WaitingState
from processor.runtime.outcomes import OLDER_ERROR_BYTES

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.codec import Codec
    from processor.ports.waiting_room import Wait, Waiting
    from processor.runtime.asking import Asker
    from processor.runtime.desk import Desk

_STATES: Final = {
    WaitingState.QUEUED: State.QUEUED,
    WaitingState.SCHEDULED: State.SCHEDULED,
    WaitingState.RETRYING: State.RETRYING,
    WaitingState.RUNNING: State.PROCESSING,
    WaitingState.HELD: State.QUEUED,
    WaitingState.BLOCKING: State.FAILED,
}
_ENDS: Final = {
    Ending.COMPLETE: State.COMPLETE,
    Ending.FAILED: State.FAILED,
    Ending.CANCELLED: State.CANCELLED,
    Ending.DISCARDED: State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a job was when somebody wanted to cancel it, and what it is now."""

    job: JobId
    generation: int
    was: State
    now: State

    @property
    def ours(self) -> bool:
        """Whether this call ended it."""
        return self.now is State.CANCELLED and self.was is not State.CANCELLED


@dataclass(frozen=True, slots=True)
class _Seen:
    """A generation as it is seen from outside."""

    state: State
    outcome: Outcome
    """With what has happened so far; its timeline is not known yet."""


async def cancel(desk: Desk, asker: Asker, job: JobId, by: str, because: str) -> Cancellation:
    """End a job that has not ended; one that has stays what it is.

    Raises `JobNotFound`, or `Unavailable` where the history is too far behind to deny it.
    """
    seen = await _see(desk, asker, job)
    if seen.state in ENDED:
        return Cancellation(job, seen.outcome.generation, seen.state, seen.state)
    generation = seen.outcome.generation
    await desk.operations.note(
        Note(OperationKind.CANCEL, by, because, job=job, generation=generation)
    )
    cancelled = Cancelled(desk.clock.now(), by, because)
    outcome = replace(
        seen.outcome,
        timeline=desk.timeline(),
        events=shorten((*seen.outcome.events, cancelled), OLDER_ERROR_BYTES),
    )
    body = desk.codec.encode_outcome(outcome)
    row = await desk.cancelling.cancel(
        Entry(job, outcome.generation, outcome.partition, outcome.lane, outcome.offset, body)
    )
    ours, now = row.body == body, _ENDS[row.ending]
    if ours:  # by whoever won, and before anything can fail: a worker would count copies
        desk.metrics.cancelled(outcome.type, outcome.lane)
    await desk.publish(row.body, row.partition, outcome.entity)
    return Cancellation(job, row.generation, seen.state if ours else now, now)


async def _see(desk: Desk, asker: Asker, job: JobId) -> _Seen:
    """The newest generation that waiting room, history or our own acknowledgement know."""
    waiting = await desk.rows.row(job)
    if waiting is None:
        return _seen_in(await asker.status(job))
    status = await asker.seen(job)
    if status is not None and status.generation > waiting.wait.generation:
        return _seen_in(status)
    return _seen_waiting(desk.codec, waiting, status)


def _seen_waiting(codec: Codec, waiting: Waiting, status: JobStatus | None) -> _Seen:
    wait = waiting.wait
    same = status if status and status.generation == wait.generation else None
    told = _events_of(same) if same else ()
    before = _before(codec, wait)
    record = _record_of(codec, wait)
    outcome = Outcome(
        wait.job,
        wait.generation,
        0,
        record.type,
        record.entity,
        record.tenant,
        wait.lane,
        waiting.partition,
        wait.place,
        max(before, told, key=len),
        record.batch,
        record.caller.request_id,
    )
    surer = same is not None and same.state in (*ENDED, State.PROCESSING)
    return _Seen(same.state if same and surer else _STATES[wait.state], outcome)


def _record_of(codec: Codec, wait: Wait) -> SubmissionRecord:
    try:
        return codec.decode_submission(wait.submission)
    except Undecodable:
        return SubmissionRecord(wait.job, "", b"null", str(wait.job), wait.lane, 0)


def _before(codec: Codec, wait: Wait) -> tuple[Durable, ...]:
    try:
        outcome = codec.decode_journal(wait.body or b"")
    except Undecodable:
        return ()
    return outcome.events if isinstance(outcome, Outcome) else ()


def _seen_in(status: JobStatus) -> _Seen:
    queued = next(
        one.event
        for one in reversed(status.history)
        if isinstance(one.event, Queued) and one.generation == status.generation
    )
    outcome = Outcome(
        status.job_id,
        status.generation,
        0,
        status.type,
        status.entity,
        status.tenant,
        queued.lane,
        queued.partition,
        queued.offset,
        _events_of(status),
        status.batch,
    )
    return _Seen(status.state, outcome)


def _events_of(status: JobStatus) -> tuple[Durable, ...]:
    """What has happened in the newest generation, a run that was only told of early included."""
    events: list[Durable] = []
    for one in status.history:
        if one.void or one.generation != status.generation:
            continue
        if isinstance(one.event, Durable):
            events.append(one.event)
    return tuple(events)
