"""What of a worker's work is seen from outside: counted, measured, traced?

The one object that the steps of an attempt tell; it costs them next to nothing where nobody looks.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from processor.domain.events import Failed, Retrying
from processor.ports.ledger import Ending
from processor.runtime.backlog import since
from processor.runtime.trace_context import trace_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import Span

    from processor.domain.events import Durable
    from processor.domain.outcome import Success
    from processor.domain.priority import Priority
    from processor.domain.submission import Trace
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.runtime.delivery import Delivery
    from processor.runtime.run import Run
    from processor.runtime.telemetry import MetricsService
    from processor.runtime.tracing import Tracing

Measured = defaultdict[tuple[str, "Priority"], list[float]]
"""Seconds, by type and lane."""

LOOK_SECONDS: Final = 5.0
TELL_SECONDS: Final = 0.1
CANCELLED: Final = "Cancelled"
ABANDONED: Final = "Abandoned"
"""The reason of a run without an outcome: the infrastructure failed, or the worker let it go."""


class Observer:
    """Told by the attempt and by what makes its end durable."""

    def __init__(
        self, topics: Topics, clock: Clock, metrics: MetricsService, tracing: Tracing
    ) -> None:
        self._topics = topics
        self._clock = clock
        self._metrics = metrics
        self._tracing = tracing
        self._waited: Measured = defaultdict(list)
        self._ran: Measured = defaultdict(list)
        self._completed: Counter[tuple[str, Priority]] = Counter()
        self._has_measured = False

    def begin(self, delivery: Delivery) -> tuple[Span | None, Trace | None]:
        """An attempt begins: its span, active from here on, and the trace that it belongs to.

        Where nobody traces it there is no span, and the trace is the submission's.
        """
        record = delivery.record
        if not self._tracing.on:
            return None, record.trace
        # An attempt has a context of its own: what is active there ends with it.
        lane, number = delivery.lane, delivery.partition.number
        span = self._tracing.attempt(
            record, self._topics.lane(lane), number, lane, delivery.offset, delivery.events
        )
        return span, record.trace if span is None else trace_of(span)

    def called(self, run: Run) -> None:
        """The handler is about to be called."""
        run.called = True
        delivery = run.delivery
        if not (delivery.runs or delivery.faults or delivery.returned):
            waited = (run.at - since(delivery)) / 1_000_000
            if run.span is not None and run.span.is_recording():  # an exemplar may name it
                self._metrics.started(delivery.record.type, delivery.lane, waited)
            else:
                self._waited[delivery.record.type, delivery.lane].append(waited)

    def end(self, run: Run) -> None:
        """An attempt has ended; one that never came to its handler leaves no span."""
        if not run.called:
            return
        delivery = run.delivery
        seconds = (self._clock.now() - run.at) / 1_000_000
        if run.span is not None and run.span.is_recording():
            self._metrics.ran(delivery.record.type, delivery.lane, seconds)
            reason = _reason(run.last, delivery)
            self._tracing.attempted(run.span, run.attempt, run.number, reason)
        else:
            self._ran[delivery.record.type, delivery.lane].append(seconds)
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._has_measured:
            self._has_measured = True
            asyncio.get_running_loop().call_later(TELL_SECONDS, self.tell)

    def tell(self) -> None:
        """Have what was measured of many runs recorded: by itself a moment later."""
        self._has_measured = False
        for measured, record in (
            (self._waited, self._metrics.started),
            (self._ran, self._metrics.ran),
        ):
            for (type_, lane), seconds in measured.items():
                record(type_, lane, *seconds)
            measured.clear()
        for (type_, lane), jobs in self._completed.items():
            self._metrics.completed(type_, lane, jobs)
        self._completed.clear()

    def completed(self, deliveries: Iterable[Delivery]) -> None:
        """This worker's own outcomes of jobs that completed are durable."""
        self._completed.update([(one.record.type, one.lane) for one in deliveries])
        self._tell_soon()

    def settled(self, delivery: Delivery, ending: Ending) -> None:
        """This worker's own outcome of a job is durable."""
        type_, lane = delivery.record.type, delivery.lane
        if ending is Ending.COMPLETE:
            self.completed((delivery,))
        elif (last := _last(delivery)) is not None:
            self._metrics.failed(type_, lane, last.error.reason)

    def parked(self, delivery: Delivery, ending: Ending | None) -> None:
        """A job waits for its next attempt, or as a dead one for an operator."""
        last = _last(delivery)
        if ending is not None:
            self.settled(delivery, ending)
        elif isinstance(last, Retrying):
            self._metrics.retried(delivery.record.type, delivery.lane, last.error.reason)

    async def run(self) -> None:
        """Look now and then whether anybody traces, until cancelled; no gauge reports then."""
        try:
            while True:
                self._tracing.look()
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            self.tell()
            self._metrics.close()


def _reason(last: Durable | Success | None, delivery: Delivery) -> str | None:
    if last is None:
        return CANCELLED if delivery.cancelled else ABANDONED
    return last.error.reason if isinstance(last, Failed | Retrying) else None


def _last(delivery: Delivery) -> Failed | Retrying | None:
    """What the outcome says last that is being recorded; the attempt is not over before."""
    run = delivery.running
    last = None if run is None else run.last
    return last if isinstance(last, Failed | Retrying) else None
