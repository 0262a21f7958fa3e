"""Which job does a lane's record hold?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import structlog

from processor.domain.events import ErrorDetail, Reason
from processor.domain.ids import entity_key, job_of_undecodable, partition_of
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Undecodable, UnknownSchema
from processor.runtime.delivery import Delivery

if TYPE_CHECKING:
    from processor.domain.priority import Priority
    from processor.ports.codec import Codec
    from processor.ports.log import LogRecord
    from processor.runtime.partition import OwnedPartition

log = structlog.get_logger(__name__)


class Decodes(Protocol):
    """What an intake asks of a decoder."""

    def deliver(self, partition: OwnedPartition, record: LogRecord) -> Delivery:
        """The job of a record; raises `UnknownSchema`, which is no corruption."""
        ...


class Decoder:
    """Turns a lane's records into deliveries, whatever they hold."""

    def __init__(
        self, codec: Codec, lane: Priority, topic: str, cluster: str, partitions: int
    ) -> None:
        """`cluster` is Kafka's cluster id: it names the job of a record that cannot be decoded."""
        self._codec = codec
        self.lane = lane
        self.topic = topic
        self._cluster = cluster
        self._partitions = partitions

    def deliver(self, partition: OwnedPartition, record: LogRecord) -> Delivery:
        """The job of a record; raises `UnknownSchema`, which is no corruption."""
        value = record.value or b""
        try:
            decoded = self._codec.decode_submission(value)
        except UnknownSchema:
            raise
        except Undecodable as error:
            detail = ErrorDetail(Reason.UNDECODABLE, "Undecodable", str(error))
            return self.unread(partition, record, detail)
        key, home = _home(decoded.tenant, decoded.entity, self._partitions)
        if home != partition.number:
            log.error(
                "a record is in the wrong partition: its entity's order cannot be kept; let its "
                "producer hash as Kafka's murmur2 does over the pinned count",
                topic=self.topic,
                partition=partition.number,
                belongs_to=home,
                offset=record.offset,
            )
        return Delivery(decoded, value, partition, self.lane, record.offset, key)

    def unread(self, partition: OwnedPartition, record: LogRecord, error: ErrorDetail) -> Delivery:
        """A record by its bytes alone: a job of its own, whose entity is itself, with its end."""
        number, offset, value = partition.number, record.offset, record.value or b""
        job = job_of_undecodable(self._cluster, self.topic, number, offset)
        stand_in = SubmissionRecord(job, "", b"null", str(job), self.lane, submitted_at=0)
        key = entity_key(None, stand_in.entity)
        delivery = Delivery(stand_in, value, partition, self.lane, offset, key)
        delivery.corrupt = error
        log.error(
            "a record cannot be decoded; a dead letter at once",
            topic=self.topic,
            partition=number,
            offset=offset,
            because=error.message,
        )
        return delivery


class Unread:
    """Decodes nothing: for a record that killed who decoded it."""

    def __init__(self, decoder: Decoder, error: ErrorDetail) -> None:
        self._decoder = decoder
        self._error = error

    def deliver(self, partition: OwnedPartition, record: LogRecord) -> Delivery:
        """See `Decodes`."""
        return self._decoder.unread(partition, record, self._error)


@lru_cache(maxsize=65_536)
def _home(tenant: str | None, entity: str, partitions: int) -> tuple[int, int]:
    """An entity's lock key and its partition."""
    return entity_key(tenant, entity), partition_of(entity, partitions)
