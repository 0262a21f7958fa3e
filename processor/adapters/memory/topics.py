"""What would a broker hold, and who waits for more of it?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processor.ports.log import LogCut, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from processor.ports.clock import Clock
    from processor.ports.log import Append


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """Implements `processor.ports.log.LogRecord`."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Partition:
    """The records of one place; those below `start` were cut off."""

    start: int = 0
    records: list[MemoryRecord] = field(default_factory=list)
    cut: list[MemoryRecord] = field(default_factory=list)
    """What was cut off, for whoever looks afterwards at all there was."""

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self.start + len(self.records)

    @property
    def whole(self) -> list[MemoryRecord]:
        """Every record that there was."""
        return [*self.cut, *self.records]


class MemoryTopics:
    """The topics of one cluster; every process appends and reads through adapters of its own."""

    def __init__(self, names: Iterable[str], partitions: int, clock: Clock) -> None:
        self._clock = clock
        self.partitions = {
            Place(name, number): Partition() for name in names for number in range(partitions)
        }
        self._waiting: dict[asyncio.Future[None], None] = {}
        """In their order: a set's would be another in every process."""

    def append(self, record: Append) -> int:
        """The offset at which the record stands; raises KeyError where there is no such place."""
        partition = self.partitions[record.place]
        offset = partition.end
        partition.records.append(
            MemoryRecord(
                offset, record.key, record.value, self._clock.now() // 1000, record.headers
            )
        )
        self.wake()
        return offset

    def wake(self) -> None:
        """Let everybody who waits for news look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def read(self, place: Place, offset: int, limit: int) -> Sequence[MemoryRecord]:
        """At most `limit` records from there on; raises `LogCut`."""
        partition = self.partitions[place]
        if not partition.start <= offset <= partition.end:
            raise LogCut(place, offset, partition.start, partition.end)
        begin = offset - partition.start
        return partition.records[begin : begin + limit]

    def cut(self, place: Place, before: int) -> None:
        """Delete the records below an offset, as a janitor or retention does."""
        partition = self.partitions[place]
        below = max(0, before - partition.start)
        partition.cut += partition.records[:below]
        del partition.records[:below]
        partition.start = max(partition.start, before)

    def lose(self, place: Place, after: int) -> None:
        """Lose the records from an offset on, as an unclean election does (H9)."""
        partition = self.partitions[place]
        del partition.records[max(0, after - partition.start) :]

    async def news(self, timeout: float) -> None:
        """Return at the next append, when woken, or after that many seconds."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asleep = asyncio.ensure_future(self._clock.sleep(timeout))
        self._waiting[waiting] = None
        try:
            await asyncio.wait({waiting, asleep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.pop(waiting, None)
            asleep.cancel()
