"""Are the topics there, and are they what the promises need?"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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

from processor.adapters.kafka import requirements
from processor.adapters.kafka.connection import CLIENT_ID, begin, first_line
from processor.adapters.kafka.describing import describe
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.requirements import COPIES, IN_SYNC, settings
from processor.domain.errors import ConfigurationError, Unavailable
from processor.ports.log import Place

if TYPE_CHECKING:
    from processor.adapters.kafka.requirements import Wrong
    from processor.domain.topics import Topics

PARTITIONS: Final = 12
LEADER_SECONDS: Final = 20.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster answered, and which topics it has."""

    id: str
    brokers: int
    topics: Mapping[str, str]
    """Kafka's own id of each topic, by name."""


class Examined(NamedTuple):
    """What a cluster is, and what of it is wrong."""

    cluster: Cluster
    wrong: Sequence[Wrong]


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
    examined = await examine(address, topics, partitions=partitions, waive_copies=waive_copies)
    for wrong in examined.wrong:
        raise ConfigurationError(wrong.what)
    if waive_copies:
        log.warning(
            "replication is not checked: acknowledged records may be on one disk only",
            brokers=examined.cluster.brokers,
        )
    return examined.cluster


async def examine(
    address: str,
    topics: Topics,
    *,
    partitions: int,
    waive_copies: bool = False,
    rights: bool = False,
) -> Examined:
    """Look at everything that the promises rest on, and tell all that is wrong.

    Raises `ConfigurationError` for a broker that is too old, and `Unavailable`.
    """
    async with administering(address) as admin:
        found = await describe(admin, topics.every)
        there = [name for name in topics.every if name in found.topics]
        configured = await _configured(admin, there)
    wrong = [
        *requirements.of_the_client(),
        *requirements.of_partitions(topics, found.topics, partitions),
    ]
    for name in there:
        wrong += requirements.of_settings(topics, name, configured[name])
        if not waive_copies:
            wrong += requirements.of_copies(name, found.topics[name], configured[name])
        if rights:
            wrong += requirements.of_rights(name, found.topics[name])
    ids = {name: topic.id for name, topic in found.topics.items()}
    return Examined(Cluster(found.cluster, found.brokers, ids), wrong)


async def assert_there(address: str, topics: Topics, *, partitions: int) -> None:
    """Raise `ConfigurationError`, one line, where a topic is missing; `Unavailable`."""
    async with administering(address) as admin:
        found = await describe(admin, topics.every)
    for wrong in requirements.of_partitions(topics, found.topics, partitions):
        raise ConfigurationError(wrong.what)


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
