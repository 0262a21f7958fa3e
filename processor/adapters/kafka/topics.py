"""Are the topics there, and are they what the promises need?"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from processor.adapters.kafka.connection import CLIENT_ID, begin, first_line
from processor.adapters.kafka.describing import Topic, describe
from processor.adapters.kafka.reader import KafkaReader
from processor.domain.errors import ConfigurationError, Unavailable
from processor.domain.limits import RECORD_BYTES
from processor.ports.log import Place

if TYPE_CHECKING:
    from processor.domain.topics import Topics

PARTITIONS: Final = 12
COPIES: Final = 3
IN_SYNC: Final = 2
LEADER_SECONDS: Final = 20.0
WEEK: Final = 7 * 24 * 3600 * 1000
FOR_EVER: Final = "-1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster answered, and which topics it has."""

    id: str
    brokers: int
    topics: Mapping[str, str]
    """Kafka's own id of each topic, by name."""


async def create(
    address: str,
    topics: Topics,
    *,
    partitions: int = PARTITIONS,
    copies: int = COPIES,
    in_sync: int = IN_SYNC,
) -> list[str]:
    """Create what is missing and wait until it has leaders; the names of what was created.

    Raises `ConfigurationError` when the cluster refuses, `Unavailable` when it does not answer.
    """
    wanted = [
        NewTopic(name, partitions, copies, topic_configs=settings(topics, name, in_sync))
        for name in topics.every
    ]
    async with administering(address) as admin:
        answer = await admin.create_topics(wanted)
    created = []
    for name, code, *reason in answer.topic_errors:
        error = for_code(code)
        if error is NoError:
            created.append(name)
        elif error is not TopicAlreadyExistsError:
            why = reason[0] if reason and reason[0] else error.__name__
            raise ConfigurationError(f"the topic {name} cannot be created: {why}")
    await lead(address, [Place(name, n) for name in created for n in range(partitions)])
    return created


async def delete(address: str, topics: Topics) -> None:
    """Delete a namespace's topics with all that is in them; those that are not there are no error.

    Raises `ConfigurationError` when the cluster refuses, `Unavailable` when it does not answer.
    """
    async with administering(address) as admin:
        answer = await admin.delete_topics(list(topics.every))
    for name, code, *_ in answer.topic_error_codes:
        error = for_code(code)
        if error not in (NoError, UnknownTopicOrPartitionError):
            raise ConfigurationError(f"the topic {name} cannot be deleted: {error.__name__}")


def settings(topics: Topics, name: str, in_sync: int) -> dict[str, str]:
    """The configuration of a topic: nothing unread is deleted by age, save what has its copy."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(WEEK) if name in topics.news else FOR_EVER,
        "retention.bytes": FOR_EVER,
        "max.message.bytes": str(RECORD_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": "false",
    }


async def lead(address: str, places: Sequence[Place]) -> None:
    """Wait until every place has a leader that answers; a new topic has none for some 200 ms."""
    if not places:
        return
    async with KafkaReader(address, places, request_seconds=LEADER_SECONDS) as reader:
        await reader.bounds(places)


async def check(
    address: str, topics: Topics, *, partitions: int, waive_copies: bool = False
) -> Cluster:
    """Assert what the promises rest on; raises `ConfigurationError`, one line, or `Unavailable`.

    With `waive_copies` a single broker will do: an acknowledged record then dies with its disk.
    """
    _assert_extension()
    async with administering(address) as admin:
        found = await describe(admin, topics.every)
        _assert_partitions(topics, found.topics, partitions)
        configured = await _configured(admin, topics.every)
    for name in topics.every:
        _assert_settings(topics, name, configured[name])
        if not waive_copies:
            _assert_copies(name, found.topics[name], configured[name])
    if waive_copies:
        log.warning(
            "replication is not checked: acknowledged records may be on one disk only",
            brokers=found.brokers,
        )
    ids = {name: topic.id for name, topic in found.topics.items()}
    return Cluster(found.cluster, found.brokers, ids)


async def assert_there(address: str, topics: Topics, *, partitions: int) -> None:
    """Raise `ConfigurationError`, one line, where a topic is missing; `Unavailable`."""
    async with administering(address) as admin:
        found = await describe(admin, topics.every)
    _assert_partitions(topics, found.topics, partitions)


@contextlib.asynccontextmanager
async def administering(address: str) -> AsyncIterator[Any]:
    """An admin client; what it fails of in the block is raised as `Unavailable`."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=address, client_id=CLIENT_ID, request_timeout_ms=20_000
    )
    client.stop = client.close
    await begin(client, address)
    try:
        yield client
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(
            f"the broker at {address} did not answer about its topics ({first_line(error)})"
        ) from error
    finally:
        await client.close()


async def _configured(admin: Any, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:  # noqa: ANN401
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(asked):
        for code, reason, _kind, name, entries in response.resources:
            if for_code(code) is not NoError:
                raise ConfigurationError(f"the topic {name} cannot be looked at: {reason}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _assert_extension() -> None:
    from aiokafka.record import default_records  # noqa: PLC0415 - looked at, not used

    if default_records.DefaultRecordBatchBuilder is default_records._DefaultRecordBatchBuilderPy:  # noqa: SLF001
        raise ConfigurationError(
            "aiokafka runs without its C extension, ten times slower;"
            " install a wheel of it and unset AIOKAFKA_NO_EXTENSIONS"
        )


def _assert_partitions(topics: Topics, known: Mapping[str, Topic], wanted: int) -> None:
    for name in topics.every:
        topic = known.get(name)
        if topic is None:
            raise ConfigurationError(f"the topic {name} does not exist: run `processor migrate`")
        found = len(topic.copies)
        if found != wanted:
            raise ConfigurationError(
                f"the topic {name} has {found} partitions, and this namespace was made with"
                f" {wanted}; entities would change places, so nothing was started"
            )


def _assert_settings(topics: Topics, name: str, found: Mapping[str, str]) -> None:
    wanted = settings(topics, name, 1)
    for setting in ("cleanup.policy", "message.timestamp.type", "retention.ms", "retention.bytes"):
        if found[setting] != wanted[setting]:
            raise ConfigurationError(
                f"the topic {name} has {setting}={found[setting]}, and {wanted[setting]} is needed"
            )
    if int(found["max.message.bytes"]) < RECORD_BYTES:
        raise ConfigurationError(
            f"the topic {name} has max.message.bytes={found['max.message.bytes']},"
            f" and {RECORD_BYTES} is needed"
        )


def _assert_copies(name: str, topic: Topic, found: Mapping[str, str]) -> None:
    copies = min(topic.copies)
    if copies < COPIES:
        raise ConfigurationError(
            f"the topic {name} has {copies} replicas, and {COPIES} are needed,"
            " so that an acknowledged job survives the loss of a broker"
        )
    if int(found["min.insync.replicas"]) < IN_SYNC:
        raise ConfigurationError(
            f"the topic {name} has min.insync.replicas={found['min.insync.replicas']},"
            f" and {IN_SYNC} is needed"
        )
    if found["unclean.leader.election.enable"] != "false":
        raise ConfigurationError(
            f"the topic {name} has unclean.leader.election.enable="
            f"{found['unclean.leader.election.enable']}, and false is needed"
        )
