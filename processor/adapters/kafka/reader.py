"""How are partitions read from places that the caller keeps?

Theory of operation. One consumer without a group has every partition of its topics assigned once
and paused; `place` is seek and resume, `leave` is pause, so that no partition touches another's
buffer. aiokafka sends no fetch to a broker while a buffer of it is unread, and a long poll that is
under way keeps out a partition that has just been emptied. So a task empties the client all the
time, in slices, into a shelf per partition, and the caller is served from the shelves. A shelf that
is full is paused; while one is, long polls are short, so that it is filled again soon.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError

from processor.adapters.kafka.connection import (
    CLIENT_ID,
    START_SECONDS,
    begin,
    end,
    first_line,
)
from processor.adapters.kafka.unpacking import AsTheyAre
from processor.domain.errors import Unavailable
from processor.ports.log import LogCut, Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from processor.ports.log import LogRecord

POLL_SECONDS = 0.5
SHORT_POLL_SECONDS = 0.02
SLICE = 500
SHELF_BYTES = 512 * 1024
FETCH_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Shelf:
    """What was read of a placed partition and not yet fetched by the caller."""

    partition: Any
    """aiokafka's name of the place."""
    records: deque[Any] = field(default_factory=deque)
    size: int = 0
    full: bool = False
    cut: int | None = None
    """The offset that the log did not have."""


class KafkaReader:
    """Implements `processor.ports.log.Reader`; `async with`.

    Entering raises `Unavailable` when no broker answers in time.
    `fetch` raises `Unavailable` once the client underneath has ended.
    """

    def __init__(
        self,
        address: str,
        places: Iterable[Place],
        *,
        request_seconds: float = 30.0,
        start_seconds: float = START_SECONDS,
        fetch_bytes: int = FETCH_BYTES,
    ) -> None:
        """`fetch_bytes`: of one partition in one answer; the first batch comes whole anyway."""
        self._address = address
        self._partitions = {place: TopicPartition(*place) for place in places}
        self._start_seconds = start_seconds
        self._fetch_bytes = fetch_bytes
        self._consumer: Any = None
        self._request_seconds = request_seconds
        self._shelves: dict[Place, Shelf] = {}
        self._full = 0
        self._turn = 0
        self._news = asyncio.Event()
        self._emptying: asyncio.Task[None] | None = None
        self._failure: str | None = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._address,
            client_id=CLIENT_ID,
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=int(POLL_SECONDS * 1000),
            max_partition_fetch_bytes=self._fetch_bytes,
            request_timeout_ms=int(self._request_seconds * 1000),
            metadata_max_age_ms=60_000,
            check_crcs=True,
        )
        await begin(self._consumer, self._address, self._start_seconds)
        self._consumer._fetcher._records = AsTheyAre()  # noqa: SLF001 - nothing is assigned yet
        # No await from here to the end: a partition without a position would be reset.
        self._consumer.assign(list(self._partitions.values()))
        for partition in self._partitions.values():
            self._consumer.seek(partition, 0)
        self._consumer.pause(*self._partitions.values())
        self._emptying = asyncio.create_task(self._empty())
        # A client whose fetching has died would otherwise return nothing for ever.
        for task in (self._emptying, self._consumer._fetcher._fetch_task):  # noqa: SLF001
            task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._failure = "it was closed"
        self._news.set()
        await end(self._consumer)
        if self._emptying is not None:
            done, _pending = await asyncio.wait({self._emptying}, timeout=1.0)
            if not done:
                self._emptying.cancel()
                await asyncio.wait({self._emptying})

    def place(self, place: Place, offset: int) -> None:
        """See `processor.ports.log.Reader`."""
        self.leave(place)
        partition = self._partitions[place]
        self._consumer.seek(partition, offset)
        self._consumer.resume(partition)
        self._shelves[place] = Shelf(partition)

    def leave(self, place: Place) -> None:
        """See `processor.ports.log.Reader`."""
        partition = self._partitions[place]
        self._consumer.pause(partition)
        self._consumer.seek(partition, 0)  # drops the client's buffer, and what is on its way
        shelf = self._shelves.pop(place, None)
        if shelf is not None and shelf.full:
            self._fuller(-1)

    async def fetch(
        self, timeout: float, limit: int, among: Collection[Place] | None = None
    ) -> Mapping[Place, Sequence[LogRecord]]:
        """See `processor.ports.log.Reader`."""
        deadline = time.monotonic() + timeout
        while True:
            self._news.clear()
            wanted = self._shelves if among is None else self._shelves.keys() & set(among)
            await self._complain(wanted)
            taken = self._take(wanted, limit)
            if taken or not await self._heard(deadline - time.monotonic()):
                await asyncio.sleep(0)
                return taken

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """See `processor.ports.log.Reader`; raises `Unavailable` when the broker is away."""
        partitions = [self._partitions[place] for place in places]
        try:
            starts, ends = await asyncio.gather(
                self._consumer.beginning_offsets(partitions),
                self._consumer.end_offsets(partitions),
            )
        except KafkaError as error:
            raise Unavailable(
                f"the broker at {self._address} does not tell what its topics hold"
                f" ({first_line(error)})"
            ) from error
        return {
            place: (starts[partition], ends[partition])
            for place, partition in zip(places, partitions, strict=True)
        }

    async def _heard(self, seconds: float) -> bool:
        """Whether something came within that time."""
        if seconds <= 0:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _complain(self, wanted: Collection[Place]) -> None:
        if self._failure is not None:
            raise Unavailable(f"the reader of {self._address} has ended: {self._failure}")
        for place in wanted:
            offset = self._shelves[place].cut
            if offset is not None:
                start, stop = (await self.bounds([place]))[place]
                raise LogCut(place, offset, start, stop)

    def _take(self, wanted: Collection[Place], limit: int) -> dict[Place, list[Any]]:
        """Up to `limit` records in fair shares, beginning with another place each time."""
        filled = [place for place in wanted if self._shelves[place].records]
        if not filled:
            return {}
        self._turn = (self._turn + 1) % len(filled)
        taken: dict[Place, list[Any]] = {}
        filled = filled[self._turn :] + filled[: self._turn]
        for position, place in enumerate(filled):
            share = -(-limit // (len(filled) - position))
            got = self._from_shelf(self._shelves[place], min(share, limit))
            limit -= len(got)
            if got:
                taken[place] = got
        return taken

    def _from_shelf(self, shelf: Shelf, most: int) -> list[Any]:
        records = shelf.records
        if len(records) <= most:
            got = list(records)
            records.clear()
            shelf.size = 0
        else:
            got = [records.popleft() for _ in range(most)]
            shelf.size -= sum(map(_size, got))
        if shelf.full and shelf.size <= SHELF_BYTES // 2:
            shelf.full = False
            self._consumer.resume(shelf.partition)
            self._fuller(-1)
        return got

    async def _empty(self) -> None:
        """Move what the client has read to the shelves, until the client is closed."""
        while True:
            try:
                got = await self._consumer.getmany(
                    timeout_ms=POLL_SECONDS * 1000, max_records=SLICE
                )
            except ConsumerStoppedError:
                return
            except OffsetOutOfRangeError as error:
                self._cut(error.args[0])
            else:
                for partition, records in got.items():
                    self._shelve(partition, records)
            await asyncio.sleep(0)

    def _shelve(self, partition: Any, records: list[Any]) -> None:  # noqa: ANN401
        shelf = self._shelves.get(Place(partition.topic, partition.partition))
        if shelf is None:
            return
        shelf.records.extend(records)
        shelf.size += sum(map(_size, records))
        # Paused only when the client has nothing more of it: it would drop that and fetch it again.
        emptied = partition not in self._consumer._fetcher._records  # noqa: SLF001
        if emptied and not shelf.full and shelf.size >= SHELF_BYTES:
            shelf.full = True
            self._consumer.pause(partition)
            self._fuller(1)
        self._news.set()

    def _fuller(self, by: int) -> None:
        self._full += by
        seconds = SHORT_POLL_SECONDS if self._full else POLL_SECONDS
        self._consumer._fetcher._fetch_max_wait_ms = int(seconds * 1000)  # noqa: SLF001

    def _cut(self, offsets: Mapping[Any, int]) -> None:
        for partition, offset in offsets.items():
            shelf = self._shelves.get(Place(partition.topic, partition.partition))
            if shelf is not None:
                self._consumer.pause(partition)
                shelf.cut = offset
        self._news.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._failure is None:
            self._failure = "it stopped fetching" if error is None else first_line(error)
            log.error("a reader has ended", error=repr(error))
        self._news.set()


def _size(record: Any) -> int:  # noqa: ANN401
    return len(record.value or b"") + 64
