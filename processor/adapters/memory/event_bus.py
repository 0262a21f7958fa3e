"""How do groups subscribe to events whose topics live in memory?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from processor.adapters.subscribing import Subscribed, Taken
from processor.ports.log import LogCut, LogFailure, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.adapters.event_kinds import EventKinds
    from processor.adapters.memory.topics import MemoryTopics
    from processor.ports.event_bus import Event
    from processor.ports.log import Append, Log

E = TypeVar("E", bound="Event")

LOOK_SECONDS: Final = 3_600.0
"""Who waits is woken by what it waits for; this only bounds it."""


class MemoryGroups:
    """What a broker knows of its consumer groups: their members and how far they are."""

    def __init__(self, topics: MemoryTopics) -> None:
        self.topics = topics
        self.committed: dict[tuple[str, Place], int] = {}
        self._members: dict[str, list[MemorySource]] = {}

    def enter(self, source: MemorySource) -> None:
        """Take a member in and share out anew."""
        self._members.setdefault(source.group, []).append(source)
        self._share_out(source.group, source.places)

    def expel(self, source: MemorySource) -> None:
        """Give a member's partitions to the others; itself it does not hear of it."""
        members = self._members.get(source.group, [])
        if source in members:
            members.remove(source)
            self._share_out(source.group, source.places)

    def _share_out(self, group: str, places: Sequence[Place]) -> None:
        members = self._members[group]
        start = 0
        for number, member in enumerate(members):
            size, over = divmod(len(places), len(members))
            end = start + size + (number < over)
            member.assign(
                {place: self.committed.get((group, place), 0) for place in places[start:end]}
            )
            start = end
        self.topics.wake()


class MemorySource:
    """Implements `processor.adapters.subscribing.Source`."""

    def __init__(self, groups: MemoryGroups, group: str, places: Sequence[Place]) -> None:
        self._groups = groups
        self.group = group
        self.places = places
        self._next: dict[Place, int] = {}
        self._spell = 0
        self._joined = False
        self._closed = False

    def assign(self, positions: dict[Place, int]) -> None:
        """Read these from there on, and nothing else."""
        self._next = positions
        self._spell += 1

    async def take(self) -> Taken | None:
        """See `processor.adapters.subscribing.Source`."""
        if not self._joined:
            self._joined = True
            self._groups.enter(self)
        while not self._closed:
            taken = self._from_any()
            if taken is not None:
                return taken
            await self._groups.topics.news(LOOK_SECONDS)
        return None

    def handled(self, taken: Taken) -> None:
        """See `processor.adapters.subscribing.Source`."""
        if taken.spell == self._spell:
            self._groups.committed[self.group, taken.place] = taken.offset + 1

    async def close(self) -> None:
        """See `processor.adapters.subscribing.Source`."""
        self._closed = True
        self._groups.expel(self)
        self._groups.topics.wake()

    def _from_any(self) -> Taken | None:
        topics = self._groups.topics
        for place, offset in self._next.items():
            try:
                records = topics.read(place, offset, 1)
            except LogCut as cut:  # as Kafka does it: the earliest that there is
                records = topics.read(place, cut.start, 1)
            for record in records:
                self._next[place] = record.offset + 1
                return Taken(place, record.offset, record.value or b"", self._spell)
        return None


class MemoryEventBus:
    """Implements `processor.ports.event_bus.EventBus`."""

    def __init__(self, groups: MemoryGroups, kinds: EventKinds, log: Log) -> None:
        self._groups = groups
        self._kinds = kinds
        self._log = log

    def records(self, event: Event) -> list[Append]:
        """See `processor.ports.event_bus.EventBus`."""
        return self._kinds.records(event)

    async def publish(self, event: Event) -> None:
        """See `processor.ports.event_bus.EventBus`."""
        for answer in await self._log.append(self._kinds.records(event)):
            if isinstance(answer, LogFailure):
                raise answer

    def subscribe(self, kind: type[E], group: str) -> Subscribed[E]:
        """See `processor.ports.event_bus.EventBus`."""
        name = self._kinds.group(group)
        source = MemorySource(self._groups, name, self._kinds.places(kind))
        return Subscribed(source, self._kinds.decoder(kind), name)
