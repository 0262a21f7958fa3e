"""How does a batch reach the broker, whatever becomes of the producer that carries it?

Theory of operation. aiokafka's idempotent producer retries by itself for as long as the broker is
away, but it cannot recover once a batch has failed for good: the sequence of that partition has a
hole, and every later batch there fails too. So such a failure costs the producer: no new batch is
given to it, what it still carries has a moment to be acknowledged, then it is cut off, a new one
takes its place, and whoever is without an acknowledgement sends again. A record can then be in the
log twice; the order of the first occurrences stays, since a partition has one batch under way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from processor.adapters.kafka.connection import CLIENT_ID, begin, cut, end, first_line, within
from processor.domain.errors import Unavailable
from processor.domain.limits import RECORD_BYTES

if TYPE_CHECKING:
    from processor.ports.log import Place

PAUSE = 0.1
FLUSH_SECONDS = 2.0
REQUEST_BYTES = 8 * 1024 * 1024

log = structlog.get_logger(__name__)


class Again(Exception):  # noqa: N818 - what to do
    """Nothing is known of the batch: send the same records again."""


class TooLarge(Exception):  # noqa: N818 - what the broker said
    """The broker takes no batch of this size."""


class Refused(Exception):  # noqa: N818 - what the broker said
    """The broker does not take this batch, nor would it take it again."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A producer for as long as it can go on."""

    producer: Any
    gone: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Producing:
    """An idempotent producer that is replaced when it can go no further."""

    def __init__(
        self, address: str, *, batch_bytes: int, request_seconds: float, start_seconds: float
    ) -> None:
        self._address = address
        self._batch_bytes = batch_bytes
        self._request_seconds = request_seconds
        self._start_seconds = start_seconds
        self._carrier: Carrier | None = None
        self._opened = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self.replaced = 0
        """How often a producer was given up."""

    async def start(self) -> None:
        """Reach the broker; raises `Unavailable`."""
        self._open(await self._made())

    async def stop(self) -> None:
        """End within a bounded time; what has no acknowledgement by then gets none."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait({self._replacing})
        if self._carrier is not None:
            carrier, self._carrier = self._carrier, None
            # Or whoever waits in `ready` would go round and round without ever letting go.
            self._opened.clear()
            await self._give_up(carrier)

    async def ready(self) -> Carrier:
        """A producer that takes batches; waits while it is being replaced."""
        while self._carrier is None:
            await self._opened.wait()
        return self._carrier

    async def send(self, carrier: Carrier, place: Place, batch: Any) -> int:  # noqa: ANN401
        """The offset of the batch's first record; raises `Again`, `TooLarge` or `Refused`."""
        acknowledged = await self._handed_over(carrier, place, batch)
        await asyncio.wait({acknowledged, carrier.gone}, return_when=asyncio.FIRST_COMPLETED)
        if not acknowledged.done():
            acknowledged.add_done_callback(_heard)
            raise Again("the producer was replaced")
        error = acknowledged.exception()
        if error is None:
            offset: int = acknowledged.result().offset
            if offset >= 0:
                return offset
            error = KafkaError("the broker no longer knows the offset of a repeated batch")
        self._replace(carrier, error)
        raise _verdict(place, error) from error

    async def _handed_over(
        self,
        carrier: Carrier,
        place: Place,
        batch: Any,  # noqa: ANN401
    ) -> asyncio.Future[Any]:
        producer = carrier.producer
        try:
            known = await producer.partitions_for(place.topic)
            if place.partition not in known:
                raise Refused(f"the topic {place.topic} has no partition {place.partition}")
            sent: asyncio.Future[Any] = await producer.send_batch(
                batch, place.topic, partition=place.partition
            )
        except UnknownTopicOrPartitionError as error:
            raise Refused(
                f"the broker has no topic {place.topic}: run `processor migrate`"
            ) from error
        except KafkaError as error:
            if not error.retriable:
                self._replace(carrier, error)
            await asyncio.sleep(PAUSE)
            raise _verdict(place, error) from error
        return sent

    def _replace(self, carrier: Carrier, error: BaseException) -> None:
        if self._carrier is not carrier:
            return
        log.warning("a producer is replaced", error=first_line(error) or repr(error))
        self._carrier = None
        self._opened.clear()
        self.replaced += 1
        self._replacing = asyncio.create_task(self._successor(carrier))

    async def _successor(self, carrier: Carrier) -> None:
        await self._give_up(carrier)
        while True:
            await asyncio.sleep(PAUSE)
            try:
                producer = await self._made()
            except Unavailable as error:
                log.warning("no new producer yet", error=str(error))
                continue
            self._open(producer)
            return

    def _open(self, producer: Any) -> None:  # noqa: ANN401
        self._carrier = Carrier(producer)
        self._opened.set()

    async def _give_up(self, carrier: Carrier) -> None:
        # Its own stop waits for what is under way, and goes on waiting when it is cancelled.
        if await within(FLUSH_SECONDS, carrier.producer.flush()):
            await end(carrier.producer, FLUSH_SECONDS)
        else:
            await cut(carrier.producer)
        if not carrier.gone.done():
            carrier.gone.set_result(None)

    async def _made(self) -> Any:  # noqa: ANN401
        producer = AIOKafkaProducer(
            bootstrap_servers=self._address,
            client_id=CLIENT_ID,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            compression_type="lz4",
            max_batch_size=self._batch_bytes,
            max_request_size=max(REQUEST_BYTES, 2 * RECORD_BYTES),
            request_timeout_ms=int(self._request_seconds * 1000),
            metadata_max_age_ms=60_000,
        )
        await begin(producer, self._address, self._start_seconds)
        return producer


def _verdict(place: Place, error: BaseException) -> Exception:
    match error:
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            return TooLarge(first_line(error))
        case TopicAuthorizationFailedError() | ClusterAuthorizationFailedError():
            return Refused(f"we may not write to the topic {place.topic}")
        case _:
            return Again(first_line(error))


def _heard(future: asyncio.Future[Any]) -> None:
    """Look at an error that nobody waits for, so that the loop does not complain of it."""
    if not future.cancelled():
        future.exception()
