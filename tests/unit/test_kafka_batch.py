"""Is what a batch is packed into what any reader of Kafka unpacks?"""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords

from processor.adapters.kafka.batch import Batch

MANY = 1_000_000
LZ4 = 3

Record = tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]


def packed(records: list[Record], most: int = MANY) -> tuple[Any, bytes, int]:
    """The batch as a reader has it, its bytes, and how many of the records it took."""
    batch = Batch(most)
    taken = sum(batch.add(*record) for record in records)
    batch._set_producer_state(7, 2, 41)  # noqa: SLF001 - as aiokafka does
    value = bytes(batch._build())  # noqa: SLF001
    assert bytes(batch._build()) == value  # noqa: SLF001 - sent again
    (read,) = batches(value)
    return read, value, taken


def batches(value: bytes) -> list[Any]:
    records = MemoryRecords(value)
    found = []
    while records.has_next():
        found.append(records.next_batch())
    return found


@pytest.mark.parametrize("count", [1, 2, 500])
def test_what_was_put_in_is_read_with_its_checksum_its_producer_and_its_places(count: int) -> None:
    records: list[Record] = [
        (b"key-%d" % number, b"value " * 20, (("trace", b"%d" % number),) * (number % 3))
        for number in range(count)
    ]
    batch, value, _ = packed(records)
    assert (batch.compression_type, batch.validate_crc()) == (LZ4, True)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 2, 41)
    assert batch.next_offset == count
    read = [(one.offset, one.key, one.value, tuple(one.headers)) for one in batch]
    assert read == [(number, *record) for number, record in enumerate(records)]
    assert len(value) < sum(len(one[1]) for one in records) + 61


def test_what_compression_does_not_make_smaller_is_sent_as_it_is() -> None:
    records: list[Record] = [(b"", random.Random(1).randbytes(200), ())]
    batch, value, _ = packed(records)
    assert (batch.compression_type, batch.validate_crc()) == (0, True)
    assert [one.value for one in batch] == [records[0][1]]
    assert len(value) > 200


def test_a_full_batch_takes_no_more_and_its_first_record_whatever_its_size() -> None:
    records: list[Record] = [(b"", bytes(1000), ()), (b"", b"small", ())]
    batch, _, taken = packed(records, most=100)
    assert (taken, [one.value for one in batch]) == (1, [bytes(1000)])
