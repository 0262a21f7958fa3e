"""What is one run of a job: the value that the steps of an attempt hand on?

Most runs complete in their first step and are never asked for more than numbers; what `decide` and
`evolve` say of their start is made when somebody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processor.domain.events import Started
from processor.domain.job import Job, Start, State, decide, evolve, next_attempt
from processor.runtime.deciding import counts
from processor.runtime.follow_ups import FollowUps
from processor.runtime.request import Opening

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from processor.domain.events import Durable
    from processor.domain.ids import JobId
    from processor.domain.outcome import Success
    from processor.domain.submission import Trace
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.ledger import Fault
    from processor.ports.transactions import Transactions
    from processor.runtime.delivery import Delivery
    from processor.runtime.submission import Submission


class Desk(NamedTuple):
    """What makes follow-ups and transactions."""

    codec: Codec
    clock: Clock
    transactions: Transactions


class Identity(NamedTuple):
    """Who runs the attempts."""

    worker: str
    release: str


class Run:
    """One run of a job."""

    # No slots: what a class has as defaults need not be set for every job.
    span: Span | None = None
    """The attempt's own; None where nobody traces."""
    called = False
    """The handler was called."""
    returned = False
    """The handler has returned: it can open nothing more."""
    left_behind = False
    """The handler goes on although it was cancelled: its job ends, or has, without it."""
    last: Durable | Success | None = None
    """The event with which the outcome ends that is being made durable."""
    opening: Opening | None = None
    """The job's transaction, once the handler has asked for it."""
    follow_ups: FollowUps | None = None
    progress: tuple[float, str] | None = None
    """What the handler last told of its progress: percent and note."""
    told_at: int | None = None
    """When the journal was last told that it runs; None while it was not."""
    told: tuple[float, str] | None = None
    _started: Started | None = None

    def __init__(
        self, desk: Desk, identity: Identity, delivery: Delivery, at: int, trace: Trace | None
    ) -> None:
        self._desk = desk
        self.identity = identity
        self.delivery = delivery
        self.at = at
        """When it began."""
        self.trace = trace
        """The one that the attempt belongs to."""
        events = delivery.events
        self.attempt = next_attempt(delivery.attempt, counted=not events or counts(events))
        self.number = delivery.runs + 1

    @property
    def started(self) -> Started:
        """The event of its start."""
        if self._started is None:
            delivery = self.delivery
            start = Start(
                self.at,
                *self.identity,
                delivery.partition.number,
                counted=counts(delivery.events),
                trace=self.trace,
            )
            started = decide(start, as_it_waits(delivery))
            assert isinstance(started, Started)  # noqa: S101 - what Start decides
            self._started = started
        return self._started

    @property
    def job(self) -> Job:
        """The job as it runs."""
        return evolve(as_it_waits(self.delivery), self.started)

    def open(self) -> Opening:
        """The job's transaction, to be opened; a closed one once the handler has returned."""
        if self.opening is not None:
            return self.opening
        opening = Opening(self._desk.transactions, self.delivery.claim)
        if self.returned:
            opening.shut()
        else:
            self.opening = opening
        return opening

    def submit(self, submission: Submission) -> JobId:
        """Take a follow-up of the handler's."""
        if self.follow_ups is None:
            codec, clock, _ = self._desk
            self.follow_ups = FollowUps(codec, clock, self.delivery.record, self.started)
        return self.follow_ups.add(submission)

    def tell(self, percent: float, note: str) -> None:
        """Take what the handler says of its progress."""
        self.progress = (percent, note)

    @property
    def interrupted(self) -> bool:
        """Whether a verdict or a fault met the handler when it opened its transaction."""
        opening = self.opening
        return opening is not None and (opening.verdict or opening.fault) is not None

    def fault(self, error: BaseException) -> Fault | None:
        """What the infrastructure did to the transaction, whatever the handler made of it."""
        transaction = None if self.opening is None else self.opening.transaction
        return None if transaction is None else transaction.fault(error)


def as_it_waits(delivery: Delivery) -> Job:
    """The job before its next run."""
    state = State.RETRYING if delivery.events else State.QUEUED
    return Job(
        state,
        delivery.record.generation,
        delivery.lane,
        attempt=delivery.attempt,
        run=delivery.runs,
    )
