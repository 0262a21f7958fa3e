"""How are events published to Kafka's topics, and subscribed to?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

from processor.adapters.kafka.subscriber import KafkaSource
from processor.adapters.subscribing import Subscribed
from processor.ports.log import LogFailure

if TYPE_CHECKING:
    from processor.adapters.event_kinds import EventKinds
    from processor.ports.event_bus import Event
    from processor.ports.log import Append, Log

E = TypeVar("E", bound="Event")


class KafkaEventBus:
    """Implements `processor.ports.event_bus.EventBus`; `async with`.

    Leaving closes every subscription. A subscriber that is silent for `session_seconds` is dead to
    its group; one that takes longer than `patience_seconds` for one event leaves it until it comes
    back. In both cases the other members go on from what was handled.
    """

    def __init__(
        self,
        address: str,
        kinds: EventKinds,
        log: Log,
        *,
        session_seconds: float = 45.0,
        patience_seconds: float = 300.0,
    ) -> None:
        self._address = address
        self._kinds = kinds
        self._log = log
        self._session_seconds = session_seconds
        self._patience_seconds = patience_seconds
        self._open: set[KafkaSource] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(source.close() for source in self._open))

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
        source = KafkaSource(
            self._address,
            name,
            self._kinds.topic(kind),
            session_seconds=self._session_seconds,
            patience_seconds=self._patience_seconds,
            on_close=self._open.discard,
        )
        self._open.add(source)
        return Subscribed(source, self._kinds.decoder(kind), name)
