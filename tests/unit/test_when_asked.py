"""Is what is made only when asked made once, and not before?"""

from __future__ import annotations

from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Link, SpanContext, TraceFlags

from processor.runtime.when_asked import MappingWhenAsked, SequenceWhenAsked

ELSEWHERE = Link(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))


class Made:
    def __init__(self) -> None:
        self.attributes = self.links = 0

    def make_attributes(self) -> dict[str, str]:
        self.attributes += 1
        return {"job.type": "t"}

    def make_links(self) -> list[Link]:
        self.links += 1
        return [ELSEWHERE]

    def span(self, sampler: Sampler) -> Span | None:
        tracer = TracerProvider(sampler, shutdown_on_exit=False).get_tracer("test")
        attributes = MappingWhenAsked(self.make_attributes)
        span = tracer.start_span(
            "s", attributes=attributes, links=SequenceWhenAsked(self.make_links)
        )
        return span if isinstance(span, Span) else None


def test_nothing_is_made_for_a_span_that_is_dropped() -> None:
    made = Made()
    assert made.span(ParentBased(ALWAYS_OFF)) is None
    assert (made.attributes, made.links) == (0, 0)


def test_a_span_that_is_kept_has_all_of_it_made_once() -> None:
    made = Made()
    span = made.span(ParentBased(ALWAYS_ON))
    assert span is not None
    assert dict(span.attributes or {}) == {"job.type": "t"}
    assert [link.context for link in span.links] == [ELSEWHERE.context]
    assert (made.attributes, made.links) == (1, 1)


def test_a_sequence_is_what_was_made() -> None:
    sequence = SequenceWhenAsked(lambda: [1, 2, 3])
    assert (list(sequence), sequence[1], list(sequence[1:]), len(sequence)) == (
        [1, 2, 3],
        2,
        [2, 3],
        3,
    )
