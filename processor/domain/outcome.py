"""What is known of a job's generation, as one record?

An outcome is cumulative: it holds every durable event of its generation so far, numbered from 0
by their place in `events`, so that a lost intermediate outcome is contained in the next. The ledger
stores it and the journal carries it, byte for byte the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from processor.domain.events import Cancelled, Completed, Discarded, End, Failed, Retrying, Started
from processor.domain.limits import ERRORS_KEPT

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.events import Durable, ErrorDetail
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord, Trace


@dataclass(frozen=True, slots=True)
class Outcome:
    """All durable events of one generation so far, and the place of the executed record."""

    job: JobId
    generation: int
    timeline: int
    """The database's timeline when it was written: tells what came before a failover apart."""
    type: str
    entity: str
    tenant: str | None
    lane: Priority
    partition: int
    offset: int
    events: tuple[Durable, ...]
    batch: UUID | None = None
    request_id: str | None = None
    submission: bytes | None = None
    """The submission's own record, whole, when this is a failure."""
    follow_ups: tuple[bytes, ...] = ()
    """Submission records to append once this is durable."""

    @property
    def end(self) -> End | None:
        """The event that ended the generation, or None while it may go on."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Completed | Failed | Cancelled | Discarded) else None

    @property
    def is_readable(self) -> bool:
        """Whether its submission may be decoded: without a type nobody could, or lived to tell."""
        return bool(self.type)

    @property
    def runs(self) -> int:
        """The number of the newest run that it tells of; 0 before the first."""
        return max((event.run for event in self.events if isinstance(event, Started)), default=0)


@dataclass(slots=True)
class Success:
    """The outcome of a generation whose first run completes, as plain values.

    Most outcomes are one, so it is neither frozen nor made of events: `at_length` says what it is.
    What it says is what `decide` and `evolve` make of a job that is queued: a property test.
    """

    record: SubmissionRecord
    timeline: int
    lane: Priority
    partition: int
    offset: int
    worker: str
    release: str
    started_at: int
    attempt: int
    run: int
    trace: Trace | None
    """The attempt's own span."""
    completed_at: int
    result: bytes

    def at_length(self) -> Outcome:
        """The same as any other outcome."""
        record = self.record
        started = Started(
            self.started_at,
            self.attempt,
            self.run,
            self.worker,
            self.release,
            self.partition,
            self.lane,
            self.trace,
        )
        return Outcome(
            record.job,
            record.generation,
            self.timeline,
            record.type,
            record.entity,
            record.tenant,
            self.lane,
            self.partition,
            self.offset,
            (started, Completed(self.completed_at, self.result)),
            record.batch,
            record.caller.request_id,
        )


def shorten(events: tuple[Durable, ...], error_bytes: int) -> tuple[Durable, ...]:
    """Cut the errors of older attempts, the oldest first to a line, so that an outcome stays small.

    The newest error stays whole (it is cut to its limit where it arises); of the older ones the
    last `ERRORS_KEPT` keep a message of at most `error_bytes` without a traceback, the rest only
    their class. Numbering is untouched.
    """
    older = [
        (index, event) for index, event in enumerate(events[:-1]) if isinstance(event, Retrying)
    ]
    nameless = max(0, len(older) - ERRORS_KEPT)
    shortened = list(events)
    for number, (index, event) in enumerate(older):
        limit = 0 if number < nameless else error_bytes
        shortened[index] = replace(event, error=_cut(event.error, limit))
    return tuple(shortened)


def _cut(error: ErrorDetail, message_bytes: int) -> ErrorDetail:
    message = error.message.encode()[:message_bytes].decode(errors="ignore")
    return replace(error, message=message, traceback="")
