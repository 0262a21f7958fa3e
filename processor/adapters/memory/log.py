"""How does one process append to and read topics that live in memory?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.domain.limits import RECORD_BYTES
from processor.ports.log import LogFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from processor.adapters.memory.topics import MemoryRecord, MemoryTopics
    from processor.ports.clock import Clock
    from processor.ports.log import Append, Place


class MemoryLog:
    """Implements `processor.ports.log.Log`.

    A step named `log.append` that raises or returns a `LogFailure` answers every record of the
    call with it; the returned one comes too late to keep them from being appended.
    """

    def __init__(
        self,
        topics: MemoryTopics,
        *,
        step: Step = onward,
        record_bytes: int = RECORD_BYTES,
    ) -> None:
        self._topics = topics
        self._largest = record_bytes
        self.step = step
        self._door = asyncio.Lock()

    async def append(
        self,
        records: Sequence[Append],
        timeout: float | None = None,  # noqa: ARG002 - the step decides what comes too late
    ) -> list[int | LogFailure]:
        """See `processor.ports.log.Log`."""
        async with self._door:  # overlapping calls keep their order, however long a step takes
            try:
                lost = await self.step("log.append")
            except LogFailure as failure:
                return [failure for _ in records]
            answers = [self._append(record) for record in records]
        if isinstance(lost, LogFailure):
            return [lost for _ in records]
        if lost is not None:
            raise lost
        return answers

    def _append(self, record: Append) -> int | LogFailure:
        if len(record.value) > self._largest:
            return LogFailure(
                f"the record has {len(record.value):,} bytes,"
                f" and the log takes {self._largest:,} at the most"
            )
        try:
            return self._topics.append(record)
        except KeyError:
            return LogFailure(f"there is no {record.place.topic}[{record.place.partition}]")


class MemoryReader:
    """Implements `processor.ports.log.Reader`."""

    def __init__(
        self, topics: MemoryTopics, places: Iterable[Place], clock: Clock, *, step: Step = onward
    ) -> None:
        self._topics = topics
        self._clock = clock
        self._places = frozenset(places)
        self._next: dict[Place, int] = {}
        self._turn = 0
        self.step = step

    def place(self, place: Place, offset: int) -> None:
        """See `processor.ports.log.Reader`."""
        if place not in self._places:
            raise KeyError(place)
        self._next[place] = offset

    def leave(self, place: Place) -> None:
        """See `processor.ports.log.Reader`."""
        if place not in self._places:
            raise KeyError(place)
        self._next.pop(place, None)

    async def fetch(
        self, timeout: float, limit: int, among: Collection[Place] | None = None
    ) -> Mapping[Place, Sequence[MemoryRecord]]:
        """See `processor.ports.log.Reader`."""
        lost = await self.step("log.fetch")
        deadline = self._clock.monotonic() + timeout
        while not (taken := self._take(limit, among)):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                break
            await self._topics.news(left)
        if lost is not None:
            raise lost
        for place, records in taken.items():
            self._next[place] = records[-1].offset + 1
        return taken

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """See `processor.ports.log.Reader`."""
        lost = await self.step("log.bounds")
        found = {place: self._topics.partitions[place] for place in places}
        if lost is not None:
            raise lost
        return {place: (partition.start, partition.end) for place, partition in found.items()}

    def _take(
        self, limit: int, among: Collection[Place] | None
    ) -> dict[Place, Sequence[MemoryRecord]]:
        """Fair shares, beginning with another place each time."""
        wanted = [place for place in self._next if among is None or place in among]
        if not wanted:
            return {}
        self._turn = (self._turn + 1) % len(wanted)
        taken: dict[Place, Sequence[MemoryRecord]] = {}
        for number, place in enumerate(wanted[self._turn :] + wanted[: self._turn]):
            share = -(-limit // (len(wanted) - number))
            records = self._topics.read(place, self._next[place], share)
            limit -= len(records)
            if records:
                taken[place] = records
        return taken
