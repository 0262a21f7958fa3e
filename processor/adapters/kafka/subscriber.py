"""How does one member of a consumer group read a topic, and tell the group what is handled?

Theory of operation. Kafka keeps the group's positions, so what a member is assigned may be fetched
at once, and nothing need be paused: a record bears the number of the assignment (the spell) it was
read in, and counts as handled only within it. Records are asked for one at a time: aiokafka keeps
the rest, drops it by itself at a rebalance, and sees from the asking how long the subscriber takes
for one record. Whoever takes longer than its patience leaves the group, until it asks again.
What is handled is committed by a task of its own, some moments later, never between a revocation
and the assignment after it (that would make another rebalance), and a last time as the partitions
are revoked, which every join waits for: so briefly.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from processor.adapters.kafka.connection import (
    START_SECONDS,
    STOP_SECONDS,
    begin,
    end,
    first_line,
)
from processor.adapters.kafka.grouping import of_group
from processor.adapters.subscribing import Taken
from processor.domain.errors import Unavailable
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

POLL_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 0.25
COMMIT_EVERY_SECONDS: Final = 0.1
COMMIT_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 3.0
REBALANCE_SECONDS: Final = 60.0
FETCH_BYTES: Final = 256 * 1024

log = structlog.get_logger(__name__)


class KafkaSource:
    """Implements `processor.adapters.subscribing.Source`; joins when it is first asked.

    `take` raises `Unavailable` when no broker answers then; afterwards it waits for the broker.
    """

    def __init__(
        self,
        address: str,
        group: str,
        topic: str,
        *,
        session_seconds: float = 45.0,
        patience_seconds: float = 300.0,
        start_seconds: float = START_SECONDS,
        stop_seconds: float = STOP_SECONDS,
        on_close: Callable[[KafkaSource], None] = lambda _: None,
    ) -> None:
        self._address = address
        self._topic = topic
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._on_close = on_close
        self._settings = of_group(
            address,
            group,
            session=session_seconds,
            heartbeat=min(HEARTBEAT_SECONDS, session_seconds / 6),
            rebalance=REBALANCE_SECONDS,
            poll=patience_seconds,
        )
        # A group that is new, or was away for too long, begins with all that the log holds.
        self._settings["auto_offset_reset"] = "earliest"
        self._settings["max_partition_fetch_bytes"] = FETCH_BYTES
        self._log = log.bind(group=group)
        self._consumer: Any = None
        self._fetching: asyncio.Task[Taken | None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._spell = 0
        self._marks: dict[Any, int] = {}
        self._marked = asyncio.Event()
        self._assigned = asyncio.Event()
        self._one_commit = asyncio.Lock()
        self._closed = False

    async def take(self) -> Taken | None:
        """See `processor.adapters.subscribing.Source`."""
        while not self._closed:
            # A task of its own: cancelling a start or a fetch would break the client.
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._fetch())
            await asyncio.wait({self._fetching})
            fetched, self._fetching = self._fetching, None
            taken = fetched.result()
            if taken is not None and taken.spell == self._spell:
                return taken
        return None

    def handled(self, taken: Taken) -> None:
        """See `processor.adapters.subscribing.Source`."""
        if taken.spell == self._spell and self._consumer is not None:
            self._marks[TopicPartition(*taken.place)] = taken.offset + 1
            self._marked.set()

    async def close(self) -> None:
        """See `processor.adapters.subscribing.Source`."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        if self._consumer is None and self._fetching is not None:  # it is joining
            await asyncio.wait({self._fetching}, timeout=self._start_seconds)
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.wait({self._committing})
        if self._consumer is not None:
            if self._assigned.is_set():
                await self._commit()
            await end(self._consumer, self._stop_seconds)
        if self._fetching is not None:
            self._fetching.add_done_callback(_forget)
            await asyncio.wait({self._fetching}, timeout=self._stop_seconds)
            self._fetching.cancel()

    async def _join(self) -> None:
        consumer = AIOKafkaConsumer(**self._settings)
        await begin(consumer, self._address, self._start_seconds)
        if self._closed:
            await end(consumer, self._stop_seconds)
            return
        self._consumer = consumer
        consumer.subscribe((self._topic,), listener=_Listener(self._revoke, self._assign))

    async def _fetch(self) -> Taken | None:
        """The next record; None once the client is closed."""
        if self._consumer is None:
            await self._join()
            if self._closed:
                return None
            self._committing = asyncio.create_task(self._commit_always())
        while not self._closed:
            try:
                got = await self._consumer.getmany(timeout_ms=POLL_SECONDS * 1000, max_records=1)
            except ConsumerStoppedError:
                return None
            except KafkaError as error:
                self._log.warning("a subscriber's client reports an error", error=first_line(error))
                await asyncio.sleep(PAUSE_SECONDS)
                await self._mend()
                continue
            for partition, (record,) in got.items():
                place = Place(partition.topic, partition.partition)
                return Taken(place, record.offset, record.value or b"", self._spell)
        return None

    async def _mend(self) -> None:
        """Join anew where the client has given up; otherwise it goes on by itself."""
        if self._closed or not self._consumer._coordinator._coordination_task.done():  # noqa: SLF001
            return
        self._begin_spell()
        await end(self._consumer, self._stop_seconds)
        while not self._closed:
            try:
                await self._join()
            except Unavailable as error:
                self._log.warning("the group cannot be joined yet", error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    async def _revoke(self) -> None:
        self._assigned.clear()
        await self._commit()
        self._begin_spell()

    def _begin_spell(self) -> None:
        self._assigned.clear()
        self._spell += 1
        self._marks.clear()

    def _assign(self, partitions: list[int]) -> None:
        self._log.info("a subscriber reads", topic=self._topic, partitions=partitions)
        self._assigned.set()

    async def _commit_always(self) -> None:
        while True:
            await self._marked.wait()
            await self._assigned.wait()
            self._marked.clear()
            await self._commit()
            await asyncio.sleep(COMMIT_EVERY_SECONDS)

    async def _commit(self) -> None:
        """Tell the group what is handled; what it does not hear now it hears with the next."""
        async with self._one_commit:
            marks, self._marks = self._marks, {}
            if not marks:
                return
            spell = self._spell
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    await self._consumer.commit(marks)
            except (TimeoutError, KafkaError) as error:
                self._log.warning(
                    "the group was not told what is handled: it may see it again",
                    error=first_line(error),
                )
                if spell == self._spell:
                    self._marks = marks | self._marks
                    self._marked.set()


@ConsumerRebalanceListener.register
class _Listener:
    """Tells a member when its partitions go and when they have come."""

    def __init__(self, revoke: Callable[[], Any], assign: Callable[[list[int]], None]) -> None:
        self._revoke = revoke
        self._assign = assign

    async def on_partitions_revoked(self, _revoked: Iterable[Any]) -> None:
        """Every partition goes, also those that come again."""
        await self._revoke()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """They are read from where the group stands."""
        self._assign(sorted(partition.partition for partition in assigned))


def _forget(fetching: asyncio.Task[Taken | None]) -> None:
    """Nobody asks any more what it came to."""
    if not fetching.cancelled():
        fetching.exception()
