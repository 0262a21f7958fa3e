"""How does a lane's record become a waiting job?

One fetcher a lane, so that a full buffer of one never delays another: fetch → decode → reserve
the id → look up → mailbox. Ids are reserved in memory before the look-up, so that a second record
of one id attaches to the first (H33). What the ledger knows is published again from its bytes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from processor.ports.codec import UnknownSchema
from processor.ports.ledger import Ending, Fault
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.domain.mailbox import Mailboxes
    from processor.domain.priority import Priority
    from processor.ports.clock import Clock
    from processor.ports.ledger import Known, Ledger, LedgerRow
    from processor.ports.log import LogRecord, Reader
    from processor.runtime.decoding import Decoder
    from processor.runtime.delivery import Delivery, Name
    from processor.runtime.dispatcher import Dispatcher
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Settling

log = structlog.get_logger(__name__)

LONG_POLL = 0.5
SHORT_POLL = 0.05
"""While some partitions are full: they are asked for again this soon after they have room."""
MOST_AT_ONCE = 2_000
PAUSE_AFTER_FAULT = 0.2
WAIT_FOR_SCHEMA = 5.0


@dataclass(frozen=True, slots=True)
class LookAhead:
    """How much is read ahead of what is done, of each partition of a lane."""

    jobs: int = 1_000
    bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Intake:
    """Where fetched jobs go."""

    mailboxes: Mailboxes[Delivery]
    reserved: dict[Name, Delivery]
    settling: Settling
    dispatcher: Dispatcher
    ledger: Ledger
    clock: Clock


class LaneFetcher:
    """Reads one lane's owned partitions into the mailboxes."""

    def __init__(
        self,
        lane: Priority,
        topic: str,
        reader: Reader,
        decoder: Decoder,
        intake: Intake,
        look_ahead: LookAhead,
    ) -> None:
        self.lane = lane
        self.topic = topic
        self.reader = reader
        self._decoder = decoder
        self._into = intake
        self._look_ahead = look_ahead
        self._reading: dict[int, OwnedPartition] = {}
        self._full: set[int] = set()
        self._halted: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._stopped = False
        self.fetches = 0
        """Fetches that came back: tells that the fetcher is alive."""

    def take(self, partition: OwnedPartition) -> None:
        """Read a partition from its position on."""
        self._reading[partition.number] = partition
        start = partition.position(self.lane).fetched
        self.reader.place(Place(self.topic, partition.number), start)
        self._changed.set()

    def drop(self, partition: OwnedPartition) -> None:
        """Read a partition no further."""
        if self._reading.get(partition.number) is partition:
            del self._reading[partition.number]
            self._full.discard(partition.number)
            self._halted.pop(partition.number, None)
            self.reader.leave(Place(self.topic, partition.number))

    def look_again(self) -> None:
        """Records became done: there may be room."""
        if self._full:
            self._changed.set()

    def stop(self) -> None:
        """End after the fetch that is under way, which must not be cancelled."""
        self._stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Fetch until stopped; raises `LogCut` where the log has a hole."""
        while not self._stopped:
            places = self._with_room()
            if not places:
                await self._wait_for_change()
                continue
            partial = len(places) < len(self._reading)
            fetched = await self.reader.fetch(
                SHORT_POLL if partial else LONG_POLL, MOST_AT_ONCE, places if partial else None
            )
            self.fetches += 1
            if fetched:
                await self._take_in(fetched)

    def _with_room(self) -> list[Place]:
        now = self._into.clock.monotonic()
        places = []
        for number, partition in self._reading.items():
            if number in self._halted:
                if self._halted[number] > now:
                    continue
                del self._halted[number]
            self._judge(number, partition)
            if number not in self._full:
                places.append(Place(self.topic, number))
        return places

    def _judge(self, number: int, partition: OwnedPartition) -> None:
        """Full at the bound, with room again at half of it, so that fetches stay large."""
        unfinished = partition.position(self.lane).unfinished
        held = partition.held_bytes[self.lane]
        if number in self._full:
            if unfinished <= self._look_ahead.jobs // 2 and held <= self._look_ahead.bytes // 2:
                self._full.discard(number)
        elif unfinished >= self._look_ahead.jobs or held >= self._look_ahead.bytes:
            self._full.add(number)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        if not self._halted:
            await self._changed.wait()
            return
        await self._into.clock.sleep(LONG_POLL)

    async def _take_in(self, fetched: Mapping[Place, Sequence[LogRecord]]) -> None:
        arrived: list[Delivery] = []
        for place, records in fetched.items():
            partition = self._reading.get(place.partition)
            if partition is not None:
                self._reserve(partition, records, arrived)
        if not arrived:
            return
        known = await self._look_up(arrived)
        settled = _by_job(known.ledger)
        for delivery in arrived:
            if not delivery.partition.open:
                self._into.reserved.pop(delivery.name, None)
                continue
            row = _settling_row(settled.get(delivery.record.job, ()), delivery)
            if row is None:
                self._into.mailboxes.put(delivery.entity, self.lane, delivery)
            else:
                self._into.reserved.pop(delivery.name, None)
                self._into.settling.republish(delivery, row)
        self._into.dispatcher.wake()

    def _reserve(
        self, partition: OwnedPartition, records: Sequence[LogRecord], arrived: list[Delivery]
    ) -> None:
        reserved = self._into.reserved
        position = partition.position(self.lane)
        for record in records:
            if record.offset < position.fetched:
                continue
            try:
                delivery = self._decoder.deliver(partition, record)
            except UnknownSchema as unknown:
                self._halt(partition, record.offset, unknown)
                return
            partition.accept(self.lane, record.offset, len(delivery.value))
            name = delivery.name
            first = reserved.get(name)
            if first is not None:
                first.copies.append((self.lane, record.offset, len(delivery.value)))
                continue
            reserved[name] = delivery
            arrived.append(delivery)
        self._warn_of_a_hot_entity(arrived)

    def _halt(self, partition: OwnedPartition, offset: int, unknown: UnknownSchema) -> None:
        number = partition.number
        self._halted[number] = self._into.clock.monotonic() + WAIT_FOR_SCHEMA
        self.reader.place(Place(self.topic, number), offset)
        log.error(
            "a partition waits for a release that knows its schema: deploy readers first",
            topic=self.topic,
            partition=number,
            offset=offset,
            because=str(unknown),
        )

    def _warn_of_a_hot_entity(self, arrived: list[Delivery]) -> None:
        if arrived and arrived[-1].partition.number in self._full:
            last = arrived[-1]
            waiting = self._into.mailboxes.waiting(last.entity, self.lane)
            if waiting >= self._look_ahead.jobs // 2:
                log.warning(
                    "one entity fills its lane's partition, which stands until its jobs are done",
                    entity=last.record.entity,
                    waiting=waiting,
                )

    async def _look_up(self, arrived: list[Delivery]) -> Known:
        partitions = list({delivery.partition.number for delivery in arrived})
        jobs = [delivery.record.job for delivery in arrived]
        entities = list({delivery.entity for delivery in arrived})
        while True:
            try:
                return await self._into.ledger.look_up(partitions, jobs, entities)
            except Fault as fault:
                log.warning("the ledger does not answer; looking up again", because=str(fault))
                await self._into.clock.sleep(PAUSE_AFTER_FAULT)


def _by_job(rows: Sequence[LedgerRow]) -> dict[object, list[LedgerRow]]:
    found: dict[object, list[LedgerRow]] = {}
    for row in rows:
        found.setdefault(row.job, []).append(row)
    return found


def _settling_row(rows: Sequence[LedgerRow], delivery: Delivery) -> LedgerRow | None:
    """The row that settles a generation: its own, a later one, or an end that absorbs it (H15)."""
    generation = delivery.record.generation
    settling = [
        row
        for row in rows
        if row.generation >= generation or row.ending in (Ending.COMPLETE, Ending.CANCELLED)
    ]
    return min(settling, key=lambda row: abs(row.generation - generation), default=None)
