"""How do spans become the trace contexts that records carry, and how are those read back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.trace import TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processor.domain.submission import Trace

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from processor.domain.submission import SubmissionRecord

# Records hold W3C's two headers, whatever an application has set up for its own wires.
_W3C: Final = TraceContextTextMapPropagator()

LETTER_KEY: Final = "jobs"
"""The vendor's entry of a replay's `tracestate`: the dead letter's `traceparent`, and after a slash
that of the job's first submission."""
_ENTRIES: Final = 32
"""W3C's limit; the newest come first."""


def active_trace() -> Trace | None:
    """The active trace context; None where there is none, as without an OpenTelemetry SDK."""
    return trace_of(get_current_span())


def trace_of(span: Span) -> Trace | None:
    """A span's context as records carry it; None for a span that belongs to no trace."""
    own = span.get_span_context()
    if not own.is_valid:
        return None
    parent = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    return Trace(parent, own.trace_state.to_header() if own.trace_state else "")


def context_of(trace: Trace) -> Context:
    """The context whose active span is the one that a record names, in another process."""
    carrier = {"traceparent": trace.traceparent, "tracestate": trace.tracestate}
    return _W3C.extract(carrier, Context())


def span_context_of(trace: Trace | None) -> SpanContext | None:
    """The span that a record names; None where it names none, or nothing that W3C knows."""
    if trace is None:
        return None
    named = get_current_span(context_of(trace)).get_span_context()
    return named if named.is_valid else None


def replayed(own: Trace | None, letter: Trace | None, first: Trace | None) -> Trace | None:
    """The trace of a replay's record: its own, which also names the dead letter's and the first's.

    Where the replay has no span of its own it is that of the submission before it.
    """
    if own is None or span_context_of(letter) is None:
        return own or letter
    named = [one.traceparent for one in (letter, first) if one and span_context_of(one)]
    before = TraceState.from_header([own.tracestate])
    others = [(key, value) for key, value in before.items() if key != LETTER_KEY]
    state = TraceState([(LETTER_KEY, "/".join(named)), *others][:_ENTRIES])
    return Trace(own.traceparent, state.to_header())


def letter_of(record: SubmissionRecord) -> Trace | None:
    """The dead letter's trace that a replay's record names; None in a first generation."""
    return next(iter(_named(record)), None)


def first_of(record: SubmissionRecord) -> Trace | None:
    """The trace of the job's first submission, in any generation; None where none is known."""
    return record.trace if record.generation == 1 else next(iter(_named(record)[1:]), None)


def _named(record: SubmissionRecord) -> list[Trace]:
    """What a replay's record names; in a first generation such an entry is some other job's."""
    named = span_context_of(record.trace) if record.generation > 1 else None
    entry = named.trace_state.get(LETTER_KEY) if named is not None else None
    return [Trace(parent) for parent in entry.split("/")] if entry else []
