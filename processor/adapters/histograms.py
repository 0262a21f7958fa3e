"""How do many values reach a histogram at little more than the price of one?

OpenTelemetry's API takes one value at a time, and its SDK spends most of that time on the
attributes, which a worker's values share by the dozen. So the first value goes the official way,
which also makes whatever is missing, and the others are added to what it found in the SDK, as the
SDK itself adds them. Wherever that looks otherwise than is known here (no SDK, another one, another
release, a view, a reader that resets) every value goes the official way: nothing is ever guessed.
Exemplars are taken of what went the official way.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.metrics import Histogram

_KNOWN: Final = (
    "opentelemetry.sdk.metrics._internal.aggregation",
    "_ExplicitBucketHistogramAggregation",
)


def record_all(
    histogram: Histogram, values: Sequence[float], attributes: Mapping[str, str]
) -> None:
    """Record values that have the same attributes; each is finite and not negative."""
    if not values:
        return
    histogram.record(values[0], attributes)
    others = values[1:]
    aggregations = _known_aggregations(histogram, attributes) if others else None
    if aggregations is None:
        for value in others:
            histogram.record(value, attributes)
        return
    for aggregation in aggregations:
        _add(aggregation, others)


def _known_aggregations(histogram: Any, attributes: Mapping[str, str]) -> list[Any] | None:  # noqa: ANN401 - the SDK's insides
    """Where the SDK has added a value with these attributes; None where anything is unknown."""
    try:
        real = getattr(histogram, "_real_instrument", None) or histogram
        storages = real._measurement_consumer._reader_storages.values()
        matches = [
            match
            for storage in storages
            for match in storage._instrument_view_instrument_matches[real]
        ]
        if any(match._reset_on_collect or match._view._attribute_keys for match in matches):
            return None
        named = tuple((name, ("str", attributes[name])) for name in sorted(attributes))
        key = ("mapping", named)
        found = [match._attributes_aggregation[key] for match in matches]
        # Everything that `_add` is going to touch, before it touches anything.
        for one in found:
            _ = (one._lock, one._value, one._sum, one._min, one._max)
            _ = (one._boundaries, one._record_min_max, one._get_empty_bucket_counts)
    except (AttributeError, KeyError, TypeError):
        return None
    known = all((type(one).__module__, type(one).__qualname__) == _KNOWN for one in found)
    return found if known else None


def _add(aggregation: Any, values: Sequence[float]) -> None:  # noqa: ANN401 - the SDK's insides
    boundaries = aggregation._boundaries
    with aggregation._lock:
        if aggregation._value is None:
            aggregation._value = aggregation._get_empty_bucket_counts()
        counts = aggregation._value
        for value in values:
            counts[bisect_left(boundaries, value)] += 1
        aggregation._sum += sum(values)
        if aggregation._record_min_max:
            aggregation._min = min(aggregation._min, *values)
            aggregation._max = max(aggregation._max, *values)
