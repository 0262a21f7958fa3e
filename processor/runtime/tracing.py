"""Which spans does a job leave, and how do they find each other?

A producer span for every submission, whose context the record carries; a consumer span for every
attempt, a trace of its own that is *linked* to the submission's span, to the previous attempt's,
and after a replay to the dead letter's. The attempt's context stands in its `Started` event, and so
in the status; the handler's own spans are its children. Nothing is exported by us: spans exist as
soon as the process has an OpenTelemetry SDK (its own, or the one that `OTEL_*` variables name);
without one no object is made for a job. Where the sampler drops a span that has no parent none is
made either: the submission then names no trace, the attempt that of its submission, and the
handler's own spans are dropped with it.

No span bears a value of the payload, nor an exception's words, which may quote one: an error is
named by its reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    Link,
    NoOpTracerProvider,
    ProxyTracerProvider,
    SpanKind,
    Status,
    StatusCode,
    get_tracer,
    get_tracer_provider,
    set_span_in_context,
)

from processor.domain.events import Started
from processor.ports.log import LogFailure
from processor.runtime.trace_context import (
    context_of,
    first_of,
    letter_of,
    replayed,
    span_context_of,
    trace_of,
)
from processor.runtime.unsampled import Unsampled
from processor.runtime.when_asked import MappingWhenAsked, SequenceWhenAsked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

    from processor.domain.events import Durable, Reason
    from processor.domain.priority import Priority
    from processor.domain.submission import SubmissionRecord, Trace
    from processor.ports.log import Place

NAME: Final = "job-processor"
"""The instrumentation's, for whoever filters by it."""
_NO_PARENT: Final = Context()


class Tracing:
    """Makes the spans, once somebody collects them: `on` says whether."""

    def __init__(
        self,
        provider: TracerProvider | None = None,
        group: str = "",
        dropper: Callable[[Tracer], Callable[[], bool] | None] = lambda _: None,
    ) -> None:
        """`dropper` tells what says of a next span without a parent that nobody would record it."""
        self._provider = provider
        self._group = group
        self._tracer = get_tracer(NAME, tracer_provider=provider)
        self._dropper = dropper
        self._drops: Callable[[], bool] | None = None
        self.on = False
        self.look()

    def look(self) -> bool:
        """Look whether the process has an SDK by now: a microsecond, so not once for each job."""
        if not self.on:
            provider = self._provider or get_tracer_provider()
            self.on = not isinstance(provider, ProxyTracerProvider | NoOpTracerProvider)
            self._drops = self._dropper(self._tracer) if self.on else None
        return self.on

    def send(
        self, record: SubmissionRecord, place: Place, *, remote: bool
    ) -> tuple[Span | None, SubmissionRecord]:
        """Begin a submission's span; the record as it is to be sent, which names that span.

        `remote` says that the record's own trace was given, so that it is the parent, and not what
        is active here.
        """
        if not self.on:
            return None, record
        if record.trace is None and self._drops is not None and self._drops():
            return None, record
        parent = context_of(record.trace) if remote and record.trace is not None else None
        span = self._producer(record, place, parent)
        return span, replace(record, trace=trace_of(span))

    def replay(
        self, record: SubmissionRecord, place: Place, letter: Trace | None, first: Trace | None
    ) -> tuple[Span | None, SubmissionRecord]:
        """The same for a replay of a dead letter, whose trace is `letter`.

        `first` is the trace of the job's first submission: later generations link to it too.
        """
        if not self.on:
            return None, replace(record, trace=replayed(record.trace, letter, first))
        span = self._producer(record, place, None, letter, first)
        return span, replace(record, trace=replayed(trace_of(span), letter, first))

    def _producer(
        self, record: SubmissionRecord, place: Place, parent: Context | None, *links: Trace | None
    ) -> Span:
        return self._tracer.start_span(
            f"send {place.topic}",
            parent,
            SpanKind.PRODUCER,
            {
                **_attributes(record, place.topic, place.partition, "send"),
                "job.lane": record.priority.label,
            },
            _links(*links),
        )

    def sent(self, span: Span, answer: int | LogFailure) -> None:
        """End a submission's span with what the log said."""
        if isinstance(answer, LogFailure):
            _mark(span, type(answer).__name__)
        else:
            span.set_attribute("messaging.kafka.offset", answer)
        span.end()

    def attempt(
        self,
        record: SubmissionRecord,
        topic: str,
        partition: int,
        lane: Priority,
        offset: int,
        events: Sequence[Durable],
    ) -> Span | None:
        """Begin an attempt's span, active from here on; None where nobody records it.

        `events` are what the generation's outcome held before.
        """
        if self._drops is not None and self._drops():
            attach(set_span_in_context(Unsampled()))
            return None

        def attributes() -> dict[str, str | int]:
            return {
                **_attributes(record, topic, partition, "process"),
                "messaging.kafka.offset": offset,
                "messaging.consumer.group.name": self._group,
                "job.lane": lane.label,
            }

        def links() -> list[Link]:
            started = (one.trace for one in reversed(events) if isinstance(one, Started))
            before = next(started, None)
            return _links(record.trace, before, letter_of(record), first_of(record))

        span = self._tracer.start_span(
            f"process {record.type}",
            _NO_PARENT,
            SpanKind.CONSUMER,
            MappingWhenAsked(attributes),
            SequenceWhenAsked(links) if record.trace is not None or events else (),
        )
        attach(set_span_in_context(span))
        return span

    def attempted(self, span: Span, attempt: int, run: int, reason: str | Reason | None) -> None:
        """End an attempt's span; `reason` is None for a success."""
        span.set_attributes({"job.attempt": attempt, "job.run": run})
        if reason is not None:
            _mark(span, str(reason))
        span.end()


def _attributes(
    record: SubmissionRecord, topic: str, partition: int, operation: str
) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.message.id": str(record.job),
        "messaging.kafka.message.key": record.entity,
        "job.type": record.type,
        "job.generation": record.generation,
    }


def _links(*traces: Trace | None) -> list[Link]:
    named: dict[tuple[int, int], SpanContext] = {}
    for trace in traces:
        span = span_context_of(trace)
        if span is not None:
            named.setdefault((span.trace_id, span.span_id), span)
    return [Link(span) for span in named.values()]


def _mark(span: Span, reason: str) -> None:
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR, reason))
