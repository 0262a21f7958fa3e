"""Do values that are recorded together leave what they leave one by one?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    InMemoryMetricReader,
)
from opentelemetry.sdk.metrics.view import DropAggregation, View

from processor.adapters import histograms
from processor.adapters.histograms import record_all

LANE = {"job.type": "t", "job.lane": "low"}
OTHER = {"job.type": "t", "job.lane": "high"}


class Measured:
    """A histogram, and what its readers say of it."""

    def __init__(self, *readers: InMemoryMetricReader, views: Sequence[View] = ()) -> None:
        self.readers = readers or (InMemoryMetricReader(),)
        provider = MeterProvider(self.readers, shutdown_on_exit=False, views=views)
        self.histogram = provider.get_meter("test").create_histogram(
            "seconds", explicit_bucket_boundaries_advisory=[0.1, 1, 10]
        )

    def told(self) -> list[Any]:
        return [self._of(reader) for reader in self.readers]

    def _of(self, reader: InMemoryMetricReader) -> Any:  # noqa: ANN401 - the SDK's points
        data = reader.get_metrics_data()
        if data is None:
            return None
        points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        return sorted(
            (
                sorted((point.attributes or {}).items()),
                point.count,
                list(point.bucket_counts),
                pytest.approx(point.sum),
                point.min,
                point.max,
            )
            for point in points
            if isinstance(point, HistogramDataPoint)
        )


def delta() -> InMemoryMetricReader:
    return InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})


values = st.lists(st.floats(0, 100), max_size=20)
rounds = st.lists(st.tuples(values, values), max_size=4)


@given(rounds, st.sampled_from(["one", "two", "delta", "view"]))
def test_values_recorded_together_leave_what_they_leave_one_by_one(
    recorded: list[tuple[list[float], list[float]]], kind: str
) -> None:
    together, apart = made(kind), made(kind)
    for low, high in recorded:
        for seconds, of in ((low, LANE), (high, OTHER)):
            record_all(together.histogram, seconds, of)
            for value in seconds:
                apart.histogram.record(value, of)
        assert together.told() == apart.told()


def made(kind: str) -> Measured:
    match kind:
        case "two":
            return Measured(InMemoryMetricReader(), InMemoryMetricReader())
        case "delta":
            return Measured(InMemoryMetricReader(), delta())
        case "view":
            return Measured(views=[View(instrument_name="seconds", attribute_keys={"job.type"})])
        case _:
            return Measured()


def test_a_dozen_values_cost_the_sdk_one(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured()
    official: list[object] = []
    monkeypatch.setattr(measured.histogram, "record", spy(measured.histogram.record, official))
    record_all(measured.histogram, [0.5] * 12, LANE)
    assert len(official) == 1
    assert measured.told()[0][0][1] == 12


def spy(record: Any, calls: list[Any]) -> Any:  # noqa: ANN401 - the SDK's method
    def spied(*arguments: Any) -> None:  # noqa: ANN401
        calls.append(arguments)
        record(*arguments)

    return spied


def test_what_is_not_known_of_the_sdk_is_recorded_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histograms, "_KNOWN", ("another", "release"))
    measured = Measured()
    record_all(measured.histogram, [0.5, 5.0, 50.0], LANE)
    assert measured.told()[0][0][1:3] == (3, [0, 1, 1, 1])


def test_what_is_dropped_or_has_no_sdk_is_recorded_nowhere() -> None:
    dropped = Measured(views=[View(instrument_name="seconds", aggregation=DropAggregation())])
    record_all(dropped.histogram, [0.5, 0.7], LANE)
    assert dropped.told() == [None]
    none = NoOpMeterProvider().get_meter("test").create_histogram("seconds")
    record_all(none, [0.5, 0.7], LANE)
    assert sys.exc_info() == (None, None, None)
