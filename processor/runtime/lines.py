"""Which entities have jobs in the waiting room, and what may start or arrive past those?

An entity held by a head lets nothing else go. An entity with queued rows takes further arrivals of
those lanes into the waiting room as well, so that order is kept; more urgent arrivals may stay in
memory. What is queued comes back when no head holds the entity, in order, a part at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from processor.domain.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.domain.ids import JobId
    from processor.domain.mailbox import Mailboxes
    from processor.ports.ledger import WaitingRow
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition

ENDS_REMEMBERED = 10_000


class _Line:
    __slots__ = ("head", "loaded", "partition", "pending", "queued_from", "refused", "stirred")

    def __init__(self, partition: OwnedPartition) -> None:
        self.partition = partition
        self.head: JobId | None = None
        self.queued_from: Priority | None = None
        self.pending = 0
        self.refused = 0
        self.stirred = False
        """A row was begun to be written since `hungry` named the entity."""
        self.loaded: set[JobId] = set()

    def reach(self, lane: Priority) -> None:
        """There is a queued row of that lane."""
        if self.queued_from is None or lane < self.queued_from:
            self.queued_from = lane

    @property
    def empty(self) -> bool:
        return not (self.head or self.pending or self.loaded) and self.queued_from is None

    @property
    def wants_more(self) -> bool:
        return self.queued_from is not None and not (self.head or self.pending or self.loaded)


class Lines:
    """What this worker knows of its entities' rows."""

    def __init__(self, mailboxes: Mailboxes[Delivery]) -> None:
        self._mailboxes = mailboxes
        self._lines: dict[int, _Line] = {}
        self._hungry: dict[int, OwnedPartition] = {}
        self._ended: OrderedDict[tuple[JobId, int], None] = OrderedDict()
        self.hunger = asyncio.Event()
        """Set when an entity's queued rows may be loaded."""

    @property
    def any(self) -> bool:
        """Whether anything of any entity is known to wait."""
        return bool(self._lines)

    def must_queue(self, entity: int, lane: Priority) -> bool:
        """Whether an arrival has to wait in the waiting room."""
        line = self._lines.get(entity)
        if line is None:
            return False
        behind = line.queued_from is not None and lane >= line.queued_from
        return line.head is not None or behind

    def head(self, entity: int, partition: OwnedPartition, job: JobId) -> None:
        """A row of this job holds the entity."""
        line = self._line(entity, partition)
        if line is None:
            return
        line.head = job
        line.loaded.discard(job)
        self._mailboxes.hold(entity)

    def learn(
        self,
        entity: int,
        partition: OwnedPartition,
        head: WaitingRow | None,
        spilled: Priority | None,
    ) -> None:
        """Take over what an earlier owner left about an entity, if nothing is known of it here."""
        if self.knows(entity):
            return
        if head is not None and not self.saw_end_of(head.job, head.generation):
            self.head(entity, partition, head.job)
        if spilled is not None:
            self.queued(entity, partition, spilled)

    def saw_end_of(self, job: JobId, generation: int) -> bool:
        """Whether a head ended here lately: a look-up that is older still shows it."""
        return (job, generation) in self._ended

    def heads(self) -> dict[int, JobId]:
        """The job that holds each held entity."""
        return {entity: line.head for entity, line in self._lines.items() if line.head}

    def headless(self, entity: int, job: JobId) -> None:
        """The row that held an entity is gone."""
        line = self._lines.get(entity)
        if line is not None and line.head == job:
            line.head = None
            self._mailboxes.free(entity)
            self._look(entity, line)

    def knows(self, entity: int) -> bool:
        """Whether anything of the entity is known to wait."""
        return entity in self._lines

    def head_of(self, entity: int) -> JobId | None:
        """The job whose row holds the entity."""
        line = self._lines.get(entity)
        return None if line is None else line.head

    def queued(self, entity: int, partition: OwnedPartition, lane: Priority) -> None:
        """The entity has queued rows of this lane, or of less urgent ones."""
        line = self._line(entity, partition)
        if line is not None:
            line.reach(lane)
            self._look(entity, line)

    def writing(self, deliveries: Iterable[Delivery]) -> None:
        """These are about to be written as queued rows."""
        for delivery in deliveries:
            line = self._line(delivery.entity, delivery.partition)
            if line is not None:
                line.pending += 1
                line.stirred = True
                line.loaded.discard(delivery.record.job)
                line.reach(delivery.lane)

    def written(self, delivery: Delivery) -> None:
        """One of those is written, or has ended otherwise."""
        line = self._of(delivery)
        if line is not None:
            line.pending -= 1
            self._look(delivery.entity, line)

    def loaded(self, deliveries: Iterable[Delivery]) -> None:
        """These queued rows are in memory now."""
        for delivery in deliveries:
            line = self._line(delivery.entity, delivery.partition)
            if line is not None:
                line.loaded.add(delivery.record.job)

    def unloaded(self, delivery: Delivery) -> None:
        """A row that was in memory waits in its table again."""
        line = self._line(delivery.entity, delivery.partition)
        if line is not None:
            line.loaded.discard(delivery.record.job)
            line.reach(delivery.lane)

    def refused(self, delivery: Delivery) -> int:
        """The database let a job of the entity not begin; how often in a row none could."""
        line = self._of(delivery)
        if line is None:
            return 0
        line.refused += 1
        return line.refused

    def exhausted(self, entity: int) -> None:
        """No row of the entity is queued any more, save what is written since `hungry`."""
        line = self._lines.get(entity)
        if line is not None and not line.stirred:
            line.queued_from = None
            self._forget_if_empty(entity, line)

    def ended(self, delivery: Delivery) -> None:
        """A job has ended: the others may go if it was the head, more may come if it was loaded."""
        line = self._of(delivery)
        if line is None:
            return
        line.loaded.discard(delivery.record.job)
        line.refused = 0
        if line.head == delivery.record.job:
            line.head = None
            self._ended[delivery.record.job, delivery.record.generation] = None
            if len(self._ended) > ENDS_REMEMBERED:
                self._ended.popitem(last=False)
            self._mailboxes.free(delivery.entity)
        self._look(delivery.entity, line)

    def hungry(self) -> dict[int, OwnedPartition]:
        """The entities whose queued rows may be loaded now; asking takes them off the list."""
        hungry, self._hungry = self._hungry, {}
        self.hunger.clear()
        for entity in hungry.keys() & self._lines.keys():
            self._lines[entity].stirred = False
        return {entity: one for entity, one in hungry.items() if self.may_load(entity, one)}

    def may_load(self, entity: int, partition: OwnedPartition) -> bool:
        """Whether queued rows are all there is of the entity: what is written may be earlier."""
        line = self._lines.get(entity)
        return line is not None and line.partition is partition and line.wants_more

    def hungry_again(self, entity: int, partition: OwnedPartition) -> None:
        """Not everything could be loaded: ask for the entity again."""
        line = self._lines.get(entity)
        if line is not None and line.partition is partition:
            self._look(entity, line)

    def drop(self, partition: OwnedPartition) -> None:
        """Forget the entities of a partition that is not ours any more."""
        self._ended.clear()
        for entity, line in list(self._lines.items()):
            if line.partition is partition:
                del self._lines[entity]
                self._hungry.pop(entity, None)
                self._mailboxes.free(entity)

    def _line(self, entity: int, partition: OwnedPartition) -> _Line | None:
        """The entity's line, made if need be; None of a partition that is not ours any more.

        Whoever asks may have waited since it was: a line of it would stay for good.
        """
        if not partition.open:
            return None
        line = self._lines.get(entity)
        if line is None or line.partition is not partition:
            line = self._lines[entity] = _Line(partition)
        return line

    def _of(self, delivery: Delivery) -> _Line | None:
        line = self._lines.get(delivery.entity)
        return line if line is not None and line.partition is delivery.partition else None

    def _look(self, entity: int, line: _Line) -> None:
        if line.wants_more:
            self._hungry[entity] = line.partition
            self.hunger.set()
        else:
            self._forget_if_empty(entity, line)

    def _forget_if_empty(self, entity: int, line: _Line) -> None:
        if line.empty:
            del self._lines[entity]
            self._hungry.pop(entity, None)
