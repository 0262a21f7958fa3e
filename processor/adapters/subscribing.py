"""How do records that members of a group share become the events of one subscription?"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, Self, TypeVar

import structlog

from processor.domain.errors import ConfigurationError
from processor.ports.codec import Undecodable, UnknownSchema

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from processor.ports.event_bus import Event
    from processor.ports.log import Place

E = TypeVar("E", bound="Event")

REMEMBERED: Final = 10_000
"""Ids by which a subscription recognises copies: many more than a rebalance brings again."""

log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """A record that a member has taken."""

    place: Place
    offset: int
    value: bytes
    spell: int
    """Counts the member's assignments: what was taken in one is not handled in a later one."""


class Source(Protocol):
    """One member of a group, as an adapter plays it."""

    async def take(self) -> Taken | None:
        """The next record, of each partition in order; None once it is closed.

        May be cancelled: the record is taken by the next call then.
        """
        ...

    def handled(self, taken: Taken) -> None:
        """The group need not see this record again, nor any before it in its partition."""
        ...

    async def close(self) -> None:
        """Leave the group; what was handled by then is not seen again. Twice is harmless."""
        ...


class Subscribed(Generic[E]):
    """Implements `processor.ports.event_bus.Subscription` over a member of a group."""

    def __init__(self, source: Source, decode: Callable[[bytes], E], group: str) -> None:
        self._source = source
        self._decode = decode
        self._log = log.bind(group=group)
        self._given: Taken | None = None
        self._stuck: ConfigurationError | None = None
        self._seen: OrderedDict[UUID, None] = OrderedDict()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        """See `processor.ports.event_bus.Subscription`."""
        given, self._given = self._given, None
        if given is not None:
            self._source.handled(given)
        if self._stuck is not None:
            raise self._stuck
        while True:
            taken = await self._source.take()
            if taken is None:
                raise StopAsyncIteration
            event = self._read(taken)
            if event is not None and self._is_new(event):
                self._given = taken
                return event
            self._source.handled(taken)

    async def aclose(self) -> None:
        """See `processor.ports.event_bus.Subscription`."""
        await self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def _read(self, taken: Taken) -> E | None:
        where = f"{taken.place.topic}[{taken.place.partition}] at {taken.offset}"
        try:
            return self._decode(taken.value)
        except UnknownSchema as unknown:
            # For good: whatever came next would pass what was not read.
            self._stuck = ConfigurationError(
                f"the event of {where} was written by a later release ({unknown}): deploy the"
                " subscriber again with that release; it goes on from here"
            )
            raise self._stuck from unknown
        except Undecodable as corrupt:
            # Nobody could ever read it: waiting would only keep the others from being heard.
            self._log.error("a record that is no event is passed over", at=where, why=str(corrupt))
            return None

    def _is_new(self, event: E) -> bool:
        if event.event_id in self._seen:
            self._seen.move_to_end(event.event_id)
            return False
        self._seen[event.event_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
