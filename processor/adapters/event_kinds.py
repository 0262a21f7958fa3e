"""Which events does the bus know, and how does each stand in the log?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from processor.domain.breaker import BreakerChanged
from processor.domain.dead_letter import JobFailed
from processor.domain.errors import ConfigurationError
from processor.domain.ids import partition_of
from processor.domain.submission import trace_headers
from processor.ports.log import Append, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.topics import Topics
    from processor.ports.codec import Codec
    from processor.ports.event_bus import Event

E = TypeVar("E", bound="Event")

_GROUP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class EventKinds:
    """Implements `processor.ports.event_bus.EventRecords`, and reads the events back."""

    def __init__(self, topics: Topics, partitions: int, codec: Codec) -> None:
        self._namespace = topics.namespace
        self._partitions = partitions
        self._codec = codec
        # TODO(phase 5, EventBus): connect the other domain events here (JobCompleted, JobCancelled,
        # JobReplayed, DeadLetterDiscarded): each one line, with a topic of its own in
        # `domain.topics` and a schema in `schemas` that the codec encodes.
        self._topics: dict[type, str] = {
            JobFailed: topics.failed,
            BreakerChanged: topics.breakers,
        }
        self._decoders: dict[type, Callable[[bytes], Any]] = {
            JobFailed: codec.decode_job_failed,
            BreakerChanged: codec.decode_breaker_changed,
        }

    def records(self, event: Event) -> list[Append]:
        """See `processor.ports.event_bus.EventRecords`."""
        if isinstance(event, BreakerChanged):
            place = Place(self._topics[BreakerChanged], partition_of(event.type, self._partitions))
            value = self._codec.encode_breaker_changed(event)
            return [Append(place, event.type.encode(), value)]
        if not isinstance(event, JobFailed):
            raise self._unknown(type(event))
        place = Place(self._topics[JobFailed], partition_of(event.entity, self._partitions))
        value = self._codec.encode_job_failed(event)
        return [Append(place, event.entity.encode(), value, trace_headers(event.trace))]

    def topic(self, kind: type[Event]) -> str:
        """Where events of a kind stand; raises `ConfigurationError` for what is no event."""
        topic = self._topics.get(kind)
        if topic is None:
            raise self._unknown(kind)
        return topic

    def places(self, kind: type[Event]) -> list[Place]:
        """Every partition of that topic."""
        return [Place(self.topic(kind), number) for number in range(self._partitions)]

    def decoder(self, kind: type[E]) -> Callable[[bytes], E]:
        """Reads an event of a kind; raises `Undecodable`."""
        return cast("Callable[[bytes], E]", self._decoders[kind])

    def group(self, name: str) -> str:
        """What Kafka calls a group; raises `ConfigurationError` for a name it cannot have."""
        if not _GROUP.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot name a group of subscribers: use 1 to 100 letters, digits,"
                " '.', '_' or '-', a letter or digit first"
            )
        return f"events.{self._namespace}.{name}"

    def _unknown(self, kind: type) -> ConfigurationError:
        known = ", ".join(sorted(one.__name__ for one in self._topics))
        return ConfigurationError(f"{kind.__name__} is no event of the bus; there is {known}")
