"""How do other teams hear of what happened to jobs?

A subscription is durable: it belongs to a group by name, every group hears of every event, and one
that was away catches up with what the log still holds (`JobFailed`: 7 days). Members of one group
share the partitions. Delivery is at-least-once: an event counts as handled once its subscriber has
come back for the next one, and what was not handled by then comes again after a crash. Copies that
one subscription sees twice are dropped there; over crashes and restarts only the subscriber can
recognise them, so whoever must act exactly once keys its effect on `event_id`, for instance as the
primary key of a row in the transaction that acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from uuid import UUID

    from processor.ports.log import Append


class Event(Protocol):
    """A fact that other teams are told."""

    @property
    def event_id(self) -> UUID:
        """The same for every copy of the event, and for no other."""
        ...


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class EventRecords(Protocol):
    """How events stand in the log."""

    def records(self, event: Event) -> list[Append]:
        """What to append, for whoever appends it together with something else."""
        ...


class Subscription(Protocol[E_co]):
    """The events of one kind, one at a time, in the order of each entity; `async for`.

    One reader at a time. Waiting for the next event may be cancelled: no event is lost by it.
    Leaving the loop leaves the last event unhandled, so that it comes again to the group; close it
    (`aclose`, or `async with`) to hand the partitions over at once.
    """

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> E_co:
        """The next event; whatever was given before is handled from now on.

        Connects when it is first asked. Raises `Unavailable` when no broker answers then, and
        `ConfigurationError` for an event that only a later release can read: deploy the readers
        first. It ends when the subscription is closed.
        """
        ...

    async def aclose(self) -> None:
        """Stop, and hand over; twice is harmless."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exception: object) -> None: ...


class EventBus(EventRecords, Protocol):
    """Publishes events and lets groups subscribe to them."""

    async def publish(self, event: Event) -> None:
        """Return once the broker has acknowledged it; raises `LogFailure` where it does not."""
        ...

    def subscribe(self, kind: type[E], group: str) -> Subscription[E]:
        """The events of a kind, for a group.

        Raises `ConfigurationError` for what is no event, and for a name no group can have.
        """
        ...
