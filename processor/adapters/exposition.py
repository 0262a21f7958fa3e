"""What has been counted and measured, in the text format that Prometheus reads?

Over the SDK of OpenTelemetry, which collects when it is asked: nothing is added up meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
    Sum,
)

_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Exposition:
    """Collects from every instrument of this process that was made since."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def install(self) -> None:
        """Let every meter of the process be collected from here, unless somebody was first."""
        set_meter_provider(self.provider)

    def text(self) -> str:
        """Everything, as it stands now."""
        data = self._reader.get_metrics_data()
        lines: list[str] = []
        told: set[str] = set()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                extra = scope.scope.attributes or {}
                for metric in scope.metrics:
                    lines += _lines(metric, extra, told)
        return "\n".join([*lines, ""])


def _lines(metric: Metric, extra: Mapping[str, Any], told: set[str]) -> Iterator[str]:
    name, kind = _named(metric)
    if name not in told:
        told.add(name)
        yield f"# HELP {name} {(metric.description or '').translate(_ESCAPES)}"
        yield f"# TYPE {name} {kind}"
    for point in metric.data.data_points:
        attributes = {**extra, **(point.attributes or {})}
        if isinstance(point, HistogramDataPoint):
            yield from _histogram(name, point, attributes)
        elif isinstance(point, NumberDataPoint):
            yield f"{name}{_labels(attributes)} {_number(point.value)}"


def _named(metric: Metric) -> tuple[str, str]:
    """The name, with the unit that belongs to it, and the kind."""
    name = _NO_NAME.sub("_", metric.name)
    if metric.unit == "s" and not name.endswith("_seconds"):
        name += "_seconds"
    if isinstance(metric.data, Sum):
        return name, "counter" if metric.data.is_monotonic else "gauge"
    return name, "histogram" if hasattr(metric.data, "aggregation_temporality") else "gauge"


def _histogram(name: str, point: HistogramDataPoint, of: Mapping[str, Any]) -> Iterator[str]:
    count = 0
    for bound, inside in zip(
        [*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True
    ):
        count += inside
        yield f"{name}_bucket{_labels({**of, 'le': _number(bound)})} {count}"
    yield f"{name}_sum{_labels(of)} {_number(point.sum)}"
    yield f"{name}_count{_labels(of)} {point.count}"


def _labels(attributes: Mapping[str, Any]) -> str:
    if not attributes:
        return ""
    pairs = [
        f'{_NO_NAME.sub("_", name)}="{str(value).translate(_ESCAPES)}"'
        for name, value in sorted(attributes.items())
    ]
    return f"{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
