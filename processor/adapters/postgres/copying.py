"""How do rows of the history become the bytes of a binary copy?

PostgreSQL's own format (documentation of COPY, "Binary Format"): each field is its length and its
bytes, big-endian. One packing for a row costs a quarter of what encoding its nine fields costs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from processor.ports.projection import HistoryRow

INCOMING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    job uuid, generation smallint, timeline integer, upto smallint, partition smallint,
    at_offset bigint, at timestamptz, ended_at timestamptz, body bytea
) ON COMMIT DELETE ROWS
"""
"""A table for rows of which some may be in the history already."""
COLUMNS: Final = (
    "job",
    "generation",
    "timeline",
    "upto",
    "partition",
    "at_offset",
    "at",
    "ended_at",
    "body",
)

_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_HEAD = ">h i16s ih ii ih ih iq iq"
_OPEN: Final = struct.Struct(f"{_HEAD} i i").pack
_ENDED: Final = struct.Struct(f"{_HEAD} iq i").pack
_PIECE: Final = 1_000
"""Rows that are handed over at a time."""
_EPOCH: Final = 946_684_800_000_000
"""Microseconds from ours to PostgreSQL's, which is the year 2000."""


async def copy_into(
    connection: Any,  # noqa: ANN401 - asyncpg's
    schema: str,
    table: str,
    rows: Sequence[HistoryRow],
) -> None:
    """Copy rows into a table that has the history's columns."""
    await connection.copy_to_table(
        table, schema_name=schema, columns=COLUMNS, source=copy_of(rows), format="binary"
    )


async def copy_of(rows: Sequence[HistoryRow]) -> AsyncIterator[bytes]:
    """The bytes of all rows, in pieces."""
    yield _BEGIN
    for first in range(0, len(rows), _PIECE):
        yield b"".join(map(_bytes_of, rows[first : first + _PIECE]))
    yield _END


def _bytes_of(row: HistoryRow) -> bytes:
    job, generation, timeline, upto, partition, offset, at, ended, body = row
    at -= _EPOCH
    fields = (9, 16, job, 2, generation, 4, timeline, 2, upto, 2, partition, 8, offset, 8, at)
    if ended is None:
        return _OPEN(*fields, -1, len(body)) + body
    return _ENDED(*fields, 8, ended - _EPOCH, len(body)) + body
