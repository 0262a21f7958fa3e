"""Is a span dropped before it is made exactly as often as the SDK would drop it?"""

from __future__ import annotations

import random
from threading import Thread

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from processor.adapters.sampling import dropper
from processor.runtime.unsampled import Unsampled


class OwnIds(RandomIdGenerator):
    """An application's own."""


class OwnRatio(TraceIdRatioBased):
    """An application's own."""


def provider_of(sampler: Sampler) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


@pytest.mark.parametrize("sampler", [TraceIdRatioBased(0.25), ParentBased(TraceIdRatioBased(0.25))])
def test_what_is_not_dropped_is_recorded_and_as_often_as_the_ratio_says(sampler: Sampler) -> None:
    random.seed(7)
    provider, exporter = provider_of(sampler)
    tracer = provider.get_tracer("test")
    drops = dropper(tracer)
    assert drops is not None
    kept = 0
    for _ in range(2_000):
        if not drops():
            kept += 1
            tracer.start_span("kept").end()
    spans = exporter.get_finished_spans()
    assert len(spans) == kept
    assert 400 < kept < 600
    assert len({span.context.trace_id for span in spans if span.context}) == kept


def test_two_who_ask_in_one_name_both_hear_what_the_sdk_would_do() -> None:
    provider, exporter = provider_of(TraceIdRatioBased(0.5))
    tracers = [provider.get_tracer("test") for _ in range(2)]
    both = [(tracer, dropper(tracer)) for tracer in tracers]
    kept = 0
    for tracer, drops in both * 50:
        assert drops is not None
        if not drops():
            kept += 1
            tracer.start_span("kept").end()
    assert len(exporter.get_finished_spans()) == kept


def test_an_id_that_was_looked_at_is_used_in_its_own_thread_only() -> None:
    provider, _ = provider_of(ParentBased(TraceIdRatioBased(1.0)))
    tracer = provider.get_tracer("test")
    drops = dropper(tracer)
    assert drops is not None
    assert not drops()
    spans: list[trace.Span] = []
    thread = Thread(target=lambda: spans.append(tracer.start_span("elsewhere")))
    thread.start()
    thread.join()
    spans.append(tracer.start_span("here"))
    elsewhere, here = (span.get_span_context().trace_id for span in spans)
    assert elsewhere != here


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ParentBased(ALWAYS_ON), OwnRatio(0.1)])
def test_nothing_is_guessed_of_another_sampler(sampler: Sampler) -> None:
    provider, _ = provider_of(sampler)
    assert dropper(provider.get_tracer("test")) is None


def test_nothing_is_guessed_of_other_ids_or_without_an_sdk() -> None:
    provider = TracerProvider(TraceIdRatioBased(0.1), id_generator=OwnIds(), shutdown_on_exit=False)
    assert dropper(provider.get_tracer("test")) is None
    assert dropper(trace.NoOpTracer()) is None


def test_spans_below_one_that_nobody_records_are_not_recorded_either() -> None:
    provider, exporter = provider_of(ParentBased(ALWAYS_ON))
    parent = Unsampled()
    context = trace.set_span_in_context(parent)
    child = provider.get_tracer("test").start_span("below", context)
    child.end()
    assert child.get_span_context().trace_id == parent.get_span_context().trace_id
    assert not exporter.get_finished_spans()
