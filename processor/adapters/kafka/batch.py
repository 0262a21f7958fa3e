"""How do records become the bytes of one batch?

aiokafka compresses what it sends as the broker does by default, with lz4's dearest but few levels:
half of what a record costs its producer, for a sixtieth less bytes. So a batch is built here
without compression and compressed afterwards, at the level that is meant for what is on its way.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from cramjam import lz4

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVEL: Final = 1
_LZ4: Final = 3
"""The compression's number in a batch's attributes."""
_LENGTH: Final = struct.Struct(">i").pack_into
_LENGTH_AT: Final = 8
_AFTER_LENGTH: Final = 12
_CHECKSUM: Final = struct.Struct(">I").pack_into
_CHECKSUM_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
"""Two bytes, of which the second one names the compression; the checksum covers what follows."""
_RECORDS_AT: Final = 61


class Batch:
    """Records for one partition; stands where aiokafka has its `BatchBuilder`."""

    __slots__ = ("_buffer", "_builder", "_closed", "_records", "_time")

    def __init__(self, most: int) -> None:
        """`most`: bytes before they are compressed; the first record is taken whatever it has."""
        self._builder: Any = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, most)
        self._buffer: bytearray | None = None
        self._closed = False
        self._records = 0
        self._time = int(time.time() * 1000)

    def add(self, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]] = ()) -> bool:
        """Take one record more; False where it holds no more."""
        if self._closed:
            return False
        if self._builder.append(self._records, self._time, key, value, list(headers)) is None:
            self._closed = True
            return False
        self._records += 1
        return True

    def close(self) -> None:
        """Take no more."""
        self._closed = True

    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._closed

    def record_count(self) -> int:
        """How many records it holds."""
        return self._records

    def _set_producer_state(self, producer: int, epoch: int, first: int) -> None:
        """Who sends it numbers it before it is built."""
        self._builder.set_producer_state(producer, epoch, first)

    def _build(self) -> bytearray:
        """The bytes, asked for each time that they are sent."""
        self._closed = True
        if self._buffer is None:
            self._buffer = compressed(self._builder.build())
        return self._buffer


def compressed(batch: bytearray) -> bytearray:
    """The same batch with its records compressed, where that makes it smaller."""
    compressor = lz4.Compressor(level=LEVEL, content_checksum=False, block_linked=False)
    compressor.compress(bytes(memoryview(batch)[_RECORDS_AT:]))
    records = bytes(compressor.finish())
    if _RECORDS_AT + len(records) >= len(batch):
        return batch
    smaller = batch[:_RECORDS_AT] + records
    _LENGTH(smaller, _LENGTH_AT, len(smaller) - _AFTER_LENGTH)
    smaller[_ATTRIBUTES_AT + 1] |= _LZ4
    _CHECKSUM(smaller, _CHECKSUM_AT, calc_crc32c(smaller[_ATTRIBUTES_AT:]))
    return smaller
