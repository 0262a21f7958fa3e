"""How do waiting jobs come back?

When their time has come, when the head before them has ended, and, for what nobody's turn brings
back, in a bounded sweep; nothing ever loads all of them. A queued row starts only when its lane's
fetch cursor is past its place, so that nothing read later stands before it (H32).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processor.domain.priority import Priority
from processor.ports.ledger import Answer
from processor.ports.waiting_room import WaitingState
from processor.runtime.books import until_answered
from processor.runtime.end_in_ledger import by_job, settling_row
from processor.runtime.waits import wait_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from processor.ports.clock import Clock
    from processor.ports.ledger import Ledger, LedgerRow
    from processor.ports.waiting_room import Room, Waiting
    from processor.runtime.afresh import Afresh
    from processor.runtime.delivery import Delivery, Name
    from processor.runtime.memory import Memory
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.row_decoding import RowDecoder
    from processor.runtime.settling import Settling

    Sweep = Callable[[dict[int, OwnedPartition]], Awaitable[bool]]

TICK = 0.2
SWEEP_EVERY = 10.0
AT_ONCE = 200
ENTITIES_AT_ONCE = 50
OF_ONE_ENTITY = 20
"""Few: they go back to their table when one of them is to be tried again."""
IN_MEMORY = 2_000
"""Rows in memory at most that came back by their time."""


class Returning:
    """Brings rows back into the mailboxes."""

    def __init__(
        self,
        room: Room,
        ledger: Ledger,
        clock: Clock,
        memory: Memory,
        settling: Settling,
        owned: Callable[[], dict[int, OwnedPartition]],
        decoder: RowDecoder,
        afresh: Afresh,
    ) -> None:
        self._room = room
        self._ledger = ledger
        self._clock = clock
        self._memory = memory
        self._lines = memory.lines
        self._mailboxes = memory.mailboxes
        self._reserved = memory.reserved
        self._settling = settling
        self._owned = owned
        self._decoder = decoder
        self._afresh = afresh
        self._deferred: dict[int, OwnedPartition] = {}
        self._untold: dict[Name, Delivery] = {}
        """Ends that are being published again; until then their rows stay due."""
        self._unreadable: dict[int, OwnedPartition] = {}
        """The entities whose first row waits for a later release: asked for with each sweep."""
        self._swept_at = -SWEEP_EVERY
        self._unswept: list[Sweep] = []
        """What a sweep has left to do."""

    def take(self, partition: OwnedPartition) -> None:
        """A partition was taken over: sweep it soon, and look afresh at what missed its handler."""
        self._decoder.take(partition.number)
        self._afresh.take(partition.number)
        self.look_soon()

    def look_soon(self) -> None:
        """Somebody touched a row: sweep at the next tick."""
        self._swept_at = -SWEEP_EVERY

    async def by_time(self) -> None:
        """Bring back what is due, and sweep, until cancelled."""
        while True:
            await until_answered(self._clock, self._look)
            await self._clock.sleep(TICK)

    async def by_turn(self) -> None:
        """Bring back what is queued as soon as its entity's turn comes, until cancelled."""
        while True:
            await self._lines.hunger.wait()
            hungry = list(self._lines.hungry().items())
            for start in range(0, len(hungry), ENTITIES_AT_ONCE):
                some = hungry[start : start + ENTITIES_AT_ONCE]
                await until_answered(self._clock, partial(self._load, some))
            self._settling.wake()

    async def _look(self) -> None:
        open_ = {number: one for number, one in self._owned().items() if one.open}
        if not open_:
            return
        await self._afresh.look(open_)
        await self._bring_due(open_)
        deferred, self._deferred = self._deferred, {}
        for entity, partition in deferred.items():
            self._lines.hungry_again(entity, partition)
        await self._sweep(open_)
        self._untold = {name: one for name, one in self._untold.items() if not one.told}
        self._settling.wake()

    async def _bring_due(self, open_: dict[int, OwnedPartition]) -> None:
        here = [*self._memory.rows.values(), *self._untold.values()]
        if len(here) >= IN_MEMORY:
            return
        besides = [delivery.record.job for delivery in here] + self._decoder.unreadable(open_)
        due = await self._room.due(open_, besides, AT_ONCE)
        if due:
            await self._bring(due, open_)

    async def _bring(self, rows: Sequence[Waiting], open_: dict[int, OwnedPartition]) -> None:
        """Those that have ended are published and removed; the others go into the mailboxes."""
        entities = {row.wait.entity_key for row in rows}
        unknown = [entity for entity in entities if not self._lines.knows(entity)]
        known = await self._ledger.look_up(open_, [row.wait.job for row in rows], unknown)
        ended, heads = by_job(known.ledger), known.heads()
        for row in rows:
            partition = open_.get(row.partition)
            if partition is None or not partition.open:
                continue
            entity = row.wait.entity_key
            self._lines.learn(entity, partition, heads.get(entity), known.spilled.get(entity))
            delivery = self._decoder.decode(row, partition)
            if delivery is None:
                continue
            blocking = row.wait.state is WaitingState.BLOCKING
            ends = ended.get(row.wait.job, ())
            end = settling_row(ends, row.wait.generation + blocking)
            if end is not None:
                self._tell(delivery, end)
            elif not blocking:
                await self._return(row, delivery)
            elif (death := settling_row(ends, row.wait.generation)) is not None:
                self._tell(delivery, death, blocking=True)

    def _tell(self, delivery: Delivery, end: LedgerRow, *, blocking: bool = False) -> None:
        """Publish an end again whose row is still there, once at a time."""
        known = self._untold.get(delivery.name)
        if known is None or known.told:
            self._untold[delivery.name] = delivery
            self._settling.republish(delivery, end, holds=blocking)

    async def _return(self, row: Waiting, delivery: Delivery) -> None:
        entity = delivery.entity
        if delivery.name in self._reserved:
            return
        if row.wait.holds:
            self._memory.reserve(delivery)
            self._lines.head(entity, delivery.partition, delivery.record.job)
            self._mailboxes.lead(entity, delivery.lane, delivery)
        elif row.wait.place >= delivery.partition.arrived(delivery.lane):
            return
        elif self._lines.must_queue(entity, delivery.lane):
            await self._queue(delivery)
        else:
            self._memory.reserve(delivery)
            self._mailboxes.put(entity, delivery.lane, delivery.offset, delivery)

    async def _queue(self, due: Delivery) -> None:
        """A schedule is due, and others of its entity wait in their table: line up with them."""
        wait = wait_of(due, WaitingState.QUEUED)
        own = self._mailboxes.is_out(due.entity)
        answer = await self._room.record(due.partition.fence, wait, due.revision, lock=not own)
        if answer is Answer.DONE and due.partition.open:
            self._lines.queued(due.entity, due.partition, due.lane)

    async def _load(self, hungry: Sequence[tuple[int, OwnedPartition]]) -> None:
        open_ = {entity: partition for entity, partition in hungry if partition.open}
        whose = [(partition.number, entity) for entity, partition in open_.items()]
        queues = await self._room.queues(whose, OF_ONE_ENTITY) if whose else []
        for (entity, partition), rows in zip(open_.items(), queues, strict=True):
            if self._lines.may_load(entity, partition):  # else it asks again when its turn comes
                self._take(entity, partition, rows)

    def _take(self, entity: int, partition: OwnedPartition, rows: Sequence[Waiting]) -> None:
        ready = [
            delivery
            for delivery in self._in_turn(rows, partition)
            if delivery.name not in self._reserved
        ]
        self._lines.loaded(ready)
        for delivery in ready:
            self._memory.reserve(delivery)
            self._mailboxes.put(entity, delivery.lane, delivery.offset, delivery)
        if not rows:
            self._lines.exhausted(entity)
        elif not ready:
            waits_long = self._decoder.met(rows[0].wait.job)
            (self._unreadable if waits_long else self._deferred)[entity] = partition

    def _in_turn(self, rows: Sequence[Waiting], partition: OwnedPartition) -> Iterator[Delivery]:
        """The jobs of an entity's queued rows, up to one that may not go yet: none goes past it."""
        for row in rows:
            if row.wait.place >= partition.arrived(row.wait.lane):
                return
            delivery = self._decoder.decode(row, partition)
            if delivery is None:
                return
            yield delivery

    async def _sweep(self, open_: dict[int, OwnedPartition]) -> None:
        """Look for what no turn brings back; what gave a full answer goes on at the next tick."""
        now = self._clock.monotonic()
        if now - self._swept_at >= SWEEP_EVERY:
            self._swept_at = now
            self._deferred |= self._unreadable
            self._unreadable = {}
            self._unswept = [self._check_heads, self._take_stranded, self._take_settled]
        self._unswept = [sweep for sweep in self._unswept if await sweep(open_)]

    async def _take_stranded(self, open_: dict[int, OwnedPartition]) -> bool:
        if len(self._memory.rows) >= IN_MEMORY:
            return True
        found = await self._room.stranded(open_, AT_ONCE)
        for number, entity in found:
            partition = open_.get(number)
            if partition is not None and not self._lines.knows(entity):
                self._lines.queued(entity, partition, Priority.CRITICAL)
        return len(found) == AT_ONCE

    async def _take_settled(self, open_: dict[int, OwnedPartition]) -> bool:
        ended = await self._room.settled(open_, AT_ONCE)
        rows = self._memory.rows.values()
        here = {(row.record.job, row.record.generation) for row in rows}
        elsewhere = [row for row in ended if (row.wait.job, row.wait.generation) not in here]
        if elsewhere:
            await self._bring(elsewhere, open_)
        return len(ended) == AT_ONCE

    async def _check_heads(self, _: dict[int, OwnedPartition]) -> bool:
        """A head that an earlier owner removed after we had read of it holds nobody."""
        here = {row.record.job for row in self._memory.rows.values()}
        heads = {job: entity for entity, job in self._lines.heads().items() if job not in here}
        if heads:
            known = await self._ledger.look_up([], list(heads), [])
            for job in heads.keys() - {row.job for row in known.waiting if row.holds}:
                self._lines.headless(heads[job], job)
        return False
