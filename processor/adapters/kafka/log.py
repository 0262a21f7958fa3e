"""How are records appended to Kafka's topics, in order, and each one's offset learned?

Theory of operation. Each partition has a queue and, while that holds something, a task of its own
that fills one batch, hands it to the producer, waits for the acknowledgement and tells the calls;
so overlapping calls keep their order and share batches, and partitions do not wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

import structlog

from processor.adapters.kafka.batch import Batch
from processor.adapters.kafka.connection import START_SECONDS, first_line
from processor.adapters.kafka.producing import Again, Producing, Refused, TooLarge
from processor.domain.limits import RECORD_BYTES
from processor.ports.log import Append, LogFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from processor.adapters.kafka.producing import Carrier
    from processor.ports.log import Place

FRAME_BYTES = 61 + 21 + 15
"""A batch's header, a record's beside key, value and headers, and lz4's, at the most."""
INCOMPRESSIBLE = 4096
"""lz4 adds less than a byte to each so many bytes that it cannot make smaller."""
HEADER_BYTES = 10
"""Two lengths of a header, at the most."""
ANY_NUMBER = 1_000_000
"""Of records in a batch: only its bytes count."""
CLOSED = "the log was closed before the broker had answered"

log = structlog.get_logger(__name__)


class Call:
    """One `append` that has not returned."""

    __slots__ = ("answers", "done", "left", "over")

    def __init__(self, records: int) -> None:
        self.answers: list[int | LogFailure | None] = [None] * records
        self.left = records
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = False
        """The caller waits no longer: what is not sent yet need not be."""

    def answer(self, index: int, answer: int | LogFailure) -> None:
        """Note what became of one record."""
        self.answers[index] = answer
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


Queued = tuple[Call, int, Append, int]
"""A record that is not acknowledged, with its number in its call before it and its size behind it:
a bare tuple, since every record has one."""


class KafkaLog:
    """Implements `processor.ports.log.Log`; `async with`.

    Entering raises `Unavailable` when no broker answers in time. No more than `in_flight` bytes
    are on their way; calls wait for room in the order in which they came.
    """

    def __init__(
        self,
        address: str,
        *,
        in_flight: int = 32 * 1024 * 1024,
        batch_bytes: int = 1024 * 1024,
        record_bytes: int = RECORD_BYTES,
        request_seconds: float = 30.0,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._address = address
        self._limit = in_flight
        self._batch_bytes = batch_bytes
        self._largest = record_bytes
        self._producing = Producing(
            address,
            batch_bytes=batch_bytes,
            request_seconds=request_seconds,
            start_seconds=start_seconds,
        )
        self._queues: dict[Place, deque[Queued]] = {}
        self._senders: dict[Place, asyncio.Task[None]] = {}
        self._underway = 0
        self._closed = False
        self._door = asyncio.Lock()
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._producing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        await self._producing.stop()
        for sender in self._senders.values():
            sender.cancel()
        if self._senders:
            await asyncio.wait(self._senders.values())
        for queue in self._queues.values():
            self._fail(queue, CLOSED)
            queue.clear()
        self._room.set()

    @property
    def replaced(self) -> int:
        """How often the producer had to be made anew."""
        return self._producing.replaced

    async def append(
        self, records: Sequence[Append], timeout: float | None = None
    ) -> list[int | LogFailure]:
        """See `processor.ports.log.Log`."""
        if not records:
            return []
        call = Call(len(records))
        try:
            async with asyncio.timeout(timeout):
                await self._admit(call, records)
                await call.done
        except TimeoutError:
            pass
        finally:
            call.over = True
        late = LogFailure(f"the broker at {self._address} did not acknowledge within {timeout} s")
        return [late if answer is None else answer for answer in call.answers]

    async def _admit(self, call: Call, records: Sequence[Append]) -> None:
        async with self._door:
            for index, record in enumerate(records):
                size = size_of(record)
                if size > self._largest:
                    call.answer(index, _too_large(size, self._largest))
                    continue
                while self._underway and self._underway + size > self._limit and not self._closed:
                    self._room.clear()
                    await self._room.wait()
                if self._closed:
                    call.answer(index, LogFailure(CLOSED))
                    continue
                self._underway += size
                # What holds something has its sender.
                queue = self._queues.get(record.place) or self._queue(record.place)
                queue.append((call, index, record, size))

    def _queue(self, place: Place) -> deque[Queued]:
        """What waits for a partition, which has a sender from now on."""
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = deque()
        if place not in self._senders:
            self._senders[place] = asyncio.create_task(self._send(place, queue))
        return queue

    async def _send(self, place: Place, queue: deque[Queued]) -> None:
        most = ANY_NUMBER
        members: list[Queued] = []
        try:
            while queue:
                carrier = await self._producing.ready()
                batch = Batch(self._batch_bytes)
                self._fill(batch, members, queue, most)
                if members:
                    most = await self._settle(carrier, place, batch, members)
        except Exception as error:
            log.exception("a batch could not be sent", topic=place.topic, partition=place.partition)
            self._fail([*members, *queue], f"it cannot be sent: {first_line(error)}")
            members.clear()
            queue.clear()
        finally:
            queue.extendleft(reversed(members))
            del self._senders[place]

    def _fill(self, batch: Batch, members: list[Queued], queue: deque[Queued], most: int) -> None:
        """Put as many of the queue's first records into the batch as it holds."""
        add = batch.add
        while queue and len(members) < most:
            queued = queue[0]
            call, _, (_, key, value, headers), size = queued
            if call.over:
                self._forget(size)
            elif add(key, value, headers):
                members.append(queued)
            else:
                break
            queue.popleft()

    async def _settle(
        self, carrier: Carrier, place: Place, batch: Batch, members: list[Queued]
    ) -> int:
        """Send one batch and tell its calls, or put it back; how many records the next may have."""
        most = ANY_NUMBER
        try:
            first = await self._producing.send(carrier, place, batch)
        except Again as reason:
            log.info("a batch is sent again", topic=place.topic, because=str(reason))
            self._queues[place].extendleft(reversed(members))
        except TooLarge as reason:
            if len(members) > 1:
                self._queues[place].extendleft(reversed(members))
                most = len(members) // 2
            else:
                self._fail(members, f"the broker takes no record of this size ({reason})")
        except Refused as reason:
            self._fail(members, str(reason))
        else:
            freed = 0
            for offset, (call, number, _, size) in enumerate(members, first):
                call.answer(number, offset)
                freed += size
            self._forget(freed)
        members.clear()
        return most

    def _fail(self, members: Iterable[Queued], why: str) -> None:
        for call, number, _, size in members:
            call.answer(number, LogFailure(why))
            self._forget(size)

    def _forget(self, size: int) -> None:
        self._underway -= size
        self._room.set()


def size_of(record: Append) -> int:
    """Bytes of a batch that holds this record alone, at the most."""
    _, key, whole, headers = record
    size = FRAME_BYTES + len(key) + len(whole)
    for name, value in headers:
        size += HEADER_BYTES + len(name.encode()) + len(value)
    return size + size // INCOMPRESSIBLE


def _too_large(size: int, most: int) -> LogFailure:
    return LogFailure(f"the record has {size:,} bytes, and the log takes {most:,} at the most")
