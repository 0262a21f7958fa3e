"""Which trace does the code that runs now belong to?"""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processor.domain.submission import Trace

# Records hold W3C's two headers, whatever an application has set up for its own wires.
_W3C: Final = TraceContextTextMapPropagator()


def active_trace() -> Trace | None:
    """The active trace context; None where there is none, as without an OpenTelemetry SDK."""
    if not get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return Trace(carrier["traceparent"], carrier.get("tracestate", ""))
