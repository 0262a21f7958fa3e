"""Who collects what a test's processes measure and trace? The SDK, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from processor.domain.submission import Trace
from processor.runtime.telemetry import MetricsService
from processor.runtime.trace_context import span_context_of
from processor.runtime.tracing import Tracing

Attributes = frozenset[tuple[str, Any]]


class Collected:
    """One process's SDK."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))

    def metrics(self, who: str = "") -> MetricsService:
        return MetricsService(who, self.meters)

    def tracing(self) -> Tracing:
        return Tracing(self.tracers, "worker.jobs")

    def points(self, name: str) -> dict[Attributes, float]:
        """What an instrument says now, by attributes; of a histogram the number of its values.

        What several workers say is added up.
        """
        return {of: values[0] for of, values in self._all(name).items()}

    def sums(self, name: str) -> dict[Attributes, float]:
        """The sums of a histogram, by attributes."""
        return {of: values[1] for of, values in self._all(name).items()}

    def total(self, name: str, **attributes: str) -> float:
        """What an instrument says of everything that has these attributes."""
        wanted = {(f"job.{key}", value) for key, value in attributes.items()}
        return sum(value for of, value in self.points(name).items() if wanted <= of)

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of that name that have ended, in the order in which they began."""
        return [span for span in self.ended() if span.name == name]

    def ended(self) -> list[ReadableSpan]:
        """All spans that have ended, in the order in which they began."""
        return sorted(self.spans.get_finished_spans(), key=lambda span: span.start_time or 0)

    def everything(self) -> str:
        """All that was collected, as text: to look for what must not be in it."""
        data = self.reader.get_metrics_data()
        told = "" if data is None else str(data.to_json())
        return told + "".join(span.to_json() for span in self.spans.get_finished_spans())

    def _all(self, name: str) -> dict[Attributes, tuple[float, float]]:
        data = self.reader.get_metrics_data()
        found: dict[Attributes, tuple[float, float]] = {}
        if data is None:
            return found
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            of = frozenset((point.attributes or {}).items())
                            (more, larger), (value, total) = _values(point), found.get(of, (0, 0))
                            found[of] = value + more, total + larger
        return found


@contextmanager
def collecting() -> Iterator[Collected]:
    """The process's own SDK while the block lasts; OpenTelemetry itself lets it be set but once."""
    collected = Collected()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_METER_PROVIDER", collected.meters)
        patch.setattr(trace, "_TRACER_PROVIDER", collected.tracers)
        yield collected


def _values(point: Any) -> tuple[float, float]:  # noqa: ANN401 - a sum's, a gauge's, a histogram's
    if hasattr(point, "count"):
        return point.count, point.sum
    return point.value, 0.0


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def linked(span: ReadableSpan) -> set[tuple[int, int]]:
    """Trace and span ids of what a span is linked to."""
    return {(link.context.trace_id, link.context.span_id) for link in span.links}


def ids(span: ReadableSpan | Trace | None) -> tuple[int, int]:
    """Trace and span id."""
    context = context_of(span) if isinstance(span, ReadableSpan) else span_context_of(span)
    assert context is not None
    return context.trace_id, context.span_id


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})
