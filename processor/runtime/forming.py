"""Which waiting jobs come together, and over how many connections?

Whatever waits now is spread over the connections that are idle now, so that no group is larger than
it has to be; nothing ever waits for more to come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.lanes import may_send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.domain.priority import Priority
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Jobs
    from processor.runtime.sharing import Sharing

MOST_TOGETHER: Final = 16
"""Jobs in one transaction: with two savepoints of their own each they stay below the 64 that
PostgreSQL keeps at hand."""
ANY: Final = ""


class Formed(NamedTuple):
    """Jobs of different entities that start together."""

    lane: Priority
    kind: str
    deliveries: list[Delivery]


class Forming:
    """Brings together what one look of the dispatcher finds."""

    def __init__(
        self, jobs: Jobs, sharing: Sharing, most: int, held: list[int], slots: int
    ) -> None:
        """At most `most` groups at once, each in one of the `slots`, which are `held` by lane."""
        self._jobs = jobs
        self._sharing = sharing
        self._most = most
        self._held = held
        self._slots = slots
        self._running = [0 for _ in held]
        self._waiting: dict[tuple[Priority, str], list[Delivery]] = {}

    @property
    def idle(self) -> bool:
        """Whether no handler shares its transaction: nothing here need be asked."""
        return not (self._most and self._jobs.grouped)

    def kind_of(self, delivery: Delivery) -> str | None:
        """What a job shares its transaction with: `ANY`, or its own type only; None: nothing.

        What has met trouble before goes alone, and so does everything in a partition where there is
        a suspect: its death must leave no doubt.
        """
        handler = self._jobs.find(delivery.record.type)
        if handler is None or not handler.is_grouped:
            return None
        if delivery.partition.quarantine is not None or delivery.corrupt is not None:
            return None
        if delivery.events or delivery.faults or delivery.returned or delivery.unhandled_since:
            return None
        if not self._sharing.may(handler.type):
            return None
        return ANY if handler.batch is None else handler.type

    def has_room(self, lane: Priority, kind: str) -> bool:
        """Whether one more job of a lane may come in, perhaps into another group."""
        waiting = self._waiting.get((lane, kind))
        if waiting and len(waiting) % MOST_TOGETHER:
            return True
        return self._may_open(lane)

    def add(self, lane: Priority, kind: str, delivery: Delivery) -> None:
        """Let a job come in for which there is room."""
        waiting = self._waiting.setdefault((lane, kind), [])
        if len(waiting) % MOST_TOGETHER == 0:
            self._open(lane)
        waiting.append(delivery)

    def groups(self) -> Iterator[Formed]:
        """All that came in, spread over what is idle; each holds its slot until `ended`."""
        waiting, self._waiting = self._waiting, {}
        for (lane, kind), deliveries in waiting.items():
            number = -(-len(deliveries) // MOST_TOGETHER)
            while number < len(deliveries) and self._may_open(lane):
                self._open(lane)
                number += 1
            for start in range(number):
                yield Formed(lane, kind, deliveries[start::number])

    def ended(self, lane: Priority) -> None:
        """A group of that lane has ended; its slot is given back by whoever says so."""
        self._running[lane] -= 1

    def _may_open(self, lane: Priority) -> bool:
        return may_send(lane, self._running, self._most) and may_send(lane, self._held, self._slots)

    def _open(self, lane: Priority) -> None:
        self._running[lane] += 1
        self._held[lane] += 1
