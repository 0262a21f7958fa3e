"""What is made of each record that was fetched?

Nothing: what aiokafka has unpacked in C has all that is asked of a record. aiokafka itself makes an
object of eleven fields of each, which takes longer than to unpack it; it does so through a method
of what it keeps of a partition until that is read, and there the record is let through as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aiokafka.consumer.fetcher import FetchResult


class AsTheyAre(OrderedDict[Any, Any]):
    """Stands where aiokafka's fetcher keeps what it has fetched, by partition, in turn."""

    def __setitem__(self, partition: object, fetched: Any) -> None:  # noqa: ANN401 - has no types
        if type(fetched) is FetchResult:  # and not an error
            fetched._partition_records._consumer_record = _as_it_is  # noqa: SLF001
        super().__setitem__(partition, fetched)


def _as_it_is(_: object, record: object) -> object:
    return record
