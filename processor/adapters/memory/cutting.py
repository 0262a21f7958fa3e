"""How would the log be cut, without a broker?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from processor.adapters.memory.topics import MemoryTopics
    from processor.ports.log import Place


class MemoryCutting:
    """`Cutting`; its steps are `log.bounds`, `log.appended_at` and `log.cut`."""

    def __init__(self, topics: MemoryTopics, *, step: Step = onward) -> None:
        self._topics = topics
        self.step = step

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """See `Extent`."""
        lost = await self.step("log.bounds")
        found = {place: self._topics.partitions[place] for place in places}
        if lost is not None:
            raise lost
        return {place: (partition.start, partition.end) for place, partition in found.items()}

    async def appended_at(self, offsets: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `Extent`."""
        lost = await self.step("log.appended_at")
        first = {place: self._topics.read(place, at, 1) for place, at in offsets.items()}
        if lost is not None:
            raise lost
        return {place: one[0].timestamp * 1000 for place, one in first.items() if one}

    async def cut(self, below: Mapping[Place, int]) -> None:
        """See `Cutting`."""
        lost = await self.step("log.cut")
        for place, offset in below.items():
            self._topics.cut(place, offset)
        if lost is not None:
            raise lost
