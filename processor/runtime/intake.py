"""Where does a record go that was read from a lane?

decode → reserve the id → look up → ledger, waiting room or mailbox. Ids are reserved in memory
before the look-up, so that a second record of one id attaches to the first (H33). What the ledger
or the waiting room knows already is published again from its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from processor.domain.priority import LANES
from processor.ports.codec import UnknownSchema
from processor.runtime.end_in_ledger import by_job, settling_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.ledger import Known, LedgerRow, WaitingRow
    from processor.ports.log import LogRecord
    from processor.runtime.books import Books
    from processor.runtime.decoding import Decodes
    from processor.runtime.delivery import Delivery
    from processor.runtime.memory import Memory
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.queueing import Queueing
    from processor.runtime.replaying import Replaying
    from processor.runtime.settling import Settling

    Read = Sequence[tuple[OwnedPartition, Sequence[LogRecord]]]

SPILL_KEEPS = 32
"""Jobs at most that stay in memory of an entity that spills."""
MOSTLY = 0.5
OWN_SHARE = 8
LATELY = 200
"""Jobs: what share of a lane is spilled is remembered for about so many."""

log = structlog.get_logger(__name__)


class Halt(NamedTuple):
    """A record that cannot be taken in now: nothing behind it may be."""

    partition: OwnedPartition
    offset: int
    unknown: UnknownSchema | None = None
    """Set where a later release must read it."""
    pause: float = 0.0
    """Otherwise: in how many seconds it may be tried again."""


class Intake:
    """Routes what the fetchers read."""

    def __init__(
        self,
        memory: Memory,
        queueing: Queueing,
        replaying: Replaying,
        settling: Settling,
        books: Books,
        wake: Callable[[], None],
        look_ahead: int,
        slots: int,
    ) -> None:
        """`look_ahead` is how many jobs of a lane's partition fill it: then hot entities spill."""
        self._slots = slots
        self._spilled = [0.0 for _ in LANES]
        """What share of a lane's arrivals went into the waiting room lately."""
        self._memory = memory
        self._lines = memory.lines
        self._mailboxes = memory.mailboxes
        self._queueing = queueing
        self._replaying = replaying
        self._settling = settling
        self._books = books
        self._wake = wake
        self._look_ahead = look_ahead
        # A full lane is read on at half of its bound: what stays must leave room for others.
        self._spill_keeps = min(SPILL_KEEPS, look_ahead // 4)

    def spills_enough(self, lane: Priority) -> bool:
        """Whether what is read of a lane is mostly written down, while it has work enough.

        Writing down is cheaper than working, so it would go on for as long as the log has records,
        and take the time of the jobs that could run. They wait in the log as well. Enough: every
        slot has an entity of this lane or of a more urgent one, and the lane's own share has some.
        """
        ready = self._mailboxes.ready
        return (
            self._spilled[lane] > MOSTLY
            and ready[lane] > self._slots // OWN_SHARE
            and sum(ready[: lane + 1]) >= self._slots
        )

    async def take_in(self, decoder: Decodes, lane: Priority, read: Read) -> list[Halt]:
        """Route everything that was read, up to what a later release must read."""
        arrived: list[Delivery] = []
        halts: list[Halt] = []
        for partition, records in read:
            try:
                self._reserve(decoder, lane, partition, records, arrived)
            except _Halted as halted:
                halts.append(Halt(partition, halted.offset, halted.unknown))
        if arrived:
            known = await self._look_up(arrived)
            before = self._queueing.queued
            self._route(arrived, known)
            self._spill(lane, arrived)
            share = (self._queueing.queued - before) / len(arrived)
            weight = min(1.0, len(arrived) / LATELY)
            self._spilled[lane] += (share - self._spilled[lane]) * weight
        for partition, _ in read:
            if partition.open:
                partition.has_arrived(lane)
        self._wake()
        return halts

    def _reserve(
        self,
        decoder: Decodes,
        lane: Priority,
        partition: OwnedPartition,
        records: Sequence[LogRecord],
        arrived: list[Delivery],
    ) -> None:
        reserved = self._memory.reserved
        position = partition.position(lane)
        for record in records:
            if record.offset < position.fetched:
                continue
            try:
                delivery = decoder.deliver(partition, record)
            except UnknownSchema as unknown:
                raise _Halted(record.offset, unknown) from unknown
            size = len(delivery.value)
            partition.accept(lane, record.offset, size)
            name = delivery.name
            first = reserved.get(name)
            if first is None:
                reserved[name] = delivery
                arrived.append(delivery)
            elif first.waits:
                partition.done(lane, record.offset, size)
            else:
                first.attach(lane, record.offset, size)

    async def _look_up(self, arrived: list[Delivery]) -> Known:
        partitions = list({delivery.partition.number for delivery in arrived})
        jobs = [delivery.record.job for delivery in arrived]
        entities = list({delivery.entity for delivery in arrived})
        ledger = self._books.ledger
        return await self._books.answer(lambda: ledger.look_up(partitions, jobs, entities))

    def _route(self, arrived: list[Delivery], known: Known) -> None:
        ended = by_job(known.ledger)
        waiting = _newest(known.waiting)
        heads = known.heads()
        nothing = not (ended or waiting or known.spilled)
        put, lines = self._mailboxes.put, self._lines
        for delivery in arrived:
            record, entity = delivery.record, delivery.entity
            if not delivery.partition.open:
                self._memory.forget(delivery)
            elif nothing and record.not_before is None and record.replay is None and not lines.any:
                put(entity, delivery.lane, delivery.offset, delivery)
            else:
                lines.learn(
                    entity, delivery.partition, heads.get(entity), known.spilled.get(entity)
                )
                end = settling_row(ended.get(record.job, ()), record.generation)
                self._route_one(delivery, end, waiting.get(record.job))

    def _route_one(self, delivery: Delivery, end: LedgerRow | None, row: WaitingRow | None) -> None:
        record = delivery.record
        if end is not None:
            self._memory.forget(delivery)
            self._settling.republish(delivery, end, holds=row is not None and row.holds)
        elif row is not None and row.generation >= record.generation:
            self._memory.forget(delivery)
            self._settling.repeat(delivery, row.body)
        elif _takes_a_place(delivery, row):
            self._replaying.take(delivery, self._line_up)
        else:
            self._line_up(delivery)

    def _line_up(self, delivery: Delivery) -> None:
        record = delivery.record
        if record.not_before is not None and record.not_before > self._books.clock.now():
            self._queueing.schedule(delivery)
        elif self._lines.must_queue(delivery.entity, delivery.lane):
            self._queueing.queue([delivery])
        else:
            self._mailboxes.put(delivery.entity, delivery.lane, delivery.offset, delivery)

    def _spill(self, lane: Priority, arrived: list[Delivery]) -> None:
        """Move an entity that fills half of a full lane, or more, out of the others' way."""
        full: dict[OwnedPartition, int] = {}
        for partition in {delivery.partition for delivery in arrived}:
            unfinished, bound = partition.unfinished(lane, self._look_ahead)
            if unfinished >= bound and partition.open:
                full[partition] = bound
        if not full:
            return
        for entity, delivery in {one.entity: one for one in arrived}.items():
            bound = full.get(delivery.partition, 0)
            if bound and self._mailboxes.waiting(entity, lane) > bound // 2:
                log.info("an entity spills into the waiting room", entity=delivery.record.entity)
                jobs = self._mailboxes.withdraw(entity, lane)
                for kept in jobs[: self._spill_keeps]:
                    self._mailboxes.put(entity, lane, kept.offset, kept)
                self._lines.loaded(jobs[: self._spill_keeps])
                self._queueing.put_off(jobs[self._spill_keeps :])


def _newest(rows: Iterable[WaitingRow]) -> dict[JobId, WaitingRow]:
    """The row of each job's newest generation."""
    newest: dict[JobId, WaitingRow] = {}
    for row in rows:
        known = newest.get(row.job)
        if known is None or known.generation < row.generation:
            newest[row.job] = row
    return newest


def _takes_a_place(delivery: Delivery, row: WaitingRow | None) -> bool:
    """Whether a replay takes the place of its job's row, which holds its entity.

    It is a command, or was none when it was sent: a failover has forgotten the discard before it.
    """
    replay = delivery.record.replay
    return replay is not None and (replay.in_place or (row is not None and row.holds))


class _Halted(Exception):  # noqa: N818 - control flow within this module
    def __init__(self, offset: int, unknown: UnknownSchema) -> None:
        super().__init__()
        self.offset = offset
        self.unknown = unknown
