"""Why does something stand still, as far as its worker knows, and what can an operator do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.priority import Priority
    from processor.ports.clock import Clock
    from processor.runtime.delivery import Delivery
    from processor.runtime.keeping import Holdings
    from processor.runtime.partition import OwnedPartition

RESTART: Final = "restart this worker, others take over what it has"
CAPACITY: Final = "see what the handlers wait for; more slots or workers, or shorter time-outs"
BROKER: Final = "see whether the broker answers"
DATABASE: Final = "see whether the database answers, and what it waits for (pg_stat_activity)"
LOCK: Final = "see which connection holds the lock (pg_locks) and end that"
READERS: Final = "deploy a release that knows it"


class Because(NamedTuple):
    """A reason, and what can be done."""

    why: str
    mend: str


class Standing:
    """Asks everybody who may be the reason."""

    def __init__(
        self,
        clock: Clock,
        holdings: Holdings,
        closed: Callable[[], str | None],
        is_held: Callable[[Priority], bool],
    ) -> None:
        """`closed`: why nothing may be started now, if so."""
        self._clock = clock
        self._memory = holdings.memory
        self._dispatcher = holdings.dispatcher
        self._publisher = holdings.publisher
        self._fetchers = holdings.fetchers
        self._closed = closed
        self.is_held = is_held
        """Whether an operator keeps a lane from being worked."""

    def rows_gone(self, lane: Priority) -> int:
        """How many jobs of a lane that came from the waiting room have ended, or gone back."""
        return self._memory.rows_gone[lane]

    def unread(self, partition: OwnedPartition, lane: Priority, seconds: float) -> Because:
        """Why records that are in the log are not read."""
        fetched = partition.positions[lane].fetched
        said = f"nothing was read for {seconds:.0f} s from offset {fetched} on"
        if self._fetchers[lane].is_halted(partition):
            return Because(f"{said}, which this release cannot decode", READERS)
        return Because(f"{said}, where there are records and room for them", RESTART)

    def idle(self, lane: Priority, left: int, seconds: float) -> Because:
        """Why no job of a lane ends."""
        said = f"{left:,} records wait and none was done for {seconds:.0f} s"
        if (closed := self._closed()) is not None:
            return Because(f"{said}: {closed}", BROKER)
        if self._dispatcher.is_full(lane):
            return Because(f"{said}: {self._taken()}", CAPACITY)
        if self._publisher.is_waiting:
            return Because(f"{said}: the journal does not acknowledge what has ended", BROKER)
        return Because(said, RESTART)

    def still(self, partition: OwnedPartition, lane: Priority, seconds: float) -> Because:
        """Why the first record that was read and is not done stays so."""
        offset = partition.positions[lane].next
        said = f"offset {offset} is not done for {seconds:.0f} s"
        delivery = self._find(partition, lane, offset)
        if delivery is None:
            if self._publisher.is_waiting:
                return Because(f"{said}: the journal does not acknowledge its outcome", BROKER)
            return Because(f"{said}, and nobody works on it", RESTART)
        record = delivery.record
        why, mend = self._waits_for(delivery)
        name = f"job {record.job} of type {record.type!r} and entity {record.entity!r}"
        return Because(f"{said}: {name} {why}", mend)

    def _find(self, partition: OwnedPartition, lane: Priority, offset: int) -> Delivery | None:
        for delivery in self._memory.reserved.values():
            if delivery.partition is partition and _holds(delivery, lane, offset):
                return delivery
        return None

    def _waits_for(self, delivery: Delivery) -> Because:
        if delivery.running is not None:
            seconds = (self._clock.now() - delivery.running.started.at) / 1_000_000
            return Because(f"has run for {seconds:.0f} s, and no row carries it", DATABASE)
        if delivery.returned:
            return Because("waits for its entity's lock, which another connection has", LOCK)
        if not self._memory.mailboxes.holds(delivery.entity, delivery):
            return Because("waits until it is written down what became of it", DATABASE)
        if (closed := self._closed()) is not None:
            return Because(f"waits: {closed}", BROKER)
        if self._dispatcher.is_full(delivery.lane):
            return Because(f"waits for a slot: {self._taken()}", CAPACITY)
        return Because("waits for its turn behind other jobs of its entity", CAPACITY)

    def _taken(self) -> str:
        runs = [one.running for one in self._dispatcher.attempts() if one.running]
        if not runs:
            return "every slot is taken"
        longest = min(runs, key=lambda run: run.started.at)
        seconds = (self._clock.now() - longest.started.at) / 1_000_000
        record = longest.delivery.record
        return (
            f"every slot is taken, the longest for {seconds:.0f} s by job {record.job}"
            f" of type {record.type!r}"
        )


def _holds(delivery: Delivery, lane: Priority, offset: int) -> bool:
    """Whether it is the record's job, or a copy of it."""
    if (delivery.lane, delivery.offset) == (lane, offset):
        return True
    return any((copied, at) == (lane, offset) for copied, at, _ in delivery.copies)
