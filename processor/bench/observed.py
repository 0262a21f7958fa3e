"""How does a process of the benchmarks run with everything on, and end with the one that began it?

Metrics are collected, and one trace of a hundred is sampled; both go to exporters that throw them
away, in the place of a collector on another machine. Run as a program, it runs the command line
that it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import set_tracer_provider

from processor.staging.tethered import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SAMPLED: Final = 0.01
EXPORT_MILLISECONDS: Final = 5_000


class NoSpans(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's
        """Say that they were exported."""
        return SpanExportResult.SUCCESS


class NoMetrics(MetricExporter):
    """Throws metrics away."""

    def export(self, *_: object, **__: object) -> MetricExportResult:
        """Say that they were exported."""
        return MetricExportResult.SUCCESS

    def force_flush(self, *_: object, **__: object) -> bool:
        """Nothing is kept."""
        return True

    def shutdown(self, *_: object, **__: object) -> None:
        """Nothing is open."""


def observe() -> None:
    """Configure the SDK of this process."""
    traces = TracerProvider(sampler=ParentBased(TraceIdRatioBased(SAMPLED)))
    traces.add_span_processor(BatchSpanProcessor(NoSpans()))
    set_tracer_provider(traces)
    reader = PeriodicExportingMetricReader(NoMetrics(), EXPORT_MILLISECONDS)
    set_meter_provider(MeterProvider([reader]))


if __name__ == "__main__":
    observe()
    run()
