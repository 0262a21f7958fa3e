"""What stands for an attempt's span that nobody records?

Something has to: the handler's own spans, and what it asks of others, must not begin traces of
their own. Its ids, which log lines may name, are made when somebody asks for them.
"""

from __future__ import annotations

from random import getrandbits

from opentelemetry.trace import NonRecordingSpan, SpanContext


class Unsampled(NonRecordingSpan):
    """A span of a trace that is not recorded."""

    def __init__(self) -> None:
        pass

    def get_span_context(self) -> SpanContext:
        """Its ids, which say that the trace is not recorded."""
        made: SpanContext | None = vars(self).get("_context")
        if made is None:
            made = SpanContext(getrandbits(128) or 1, getrandbits(64) or 1, is_remote=False)
            self._context = made
        return made

    def __repr__(self) -> str:
        return f"Unsampled({self.get_span_context()!r})"
