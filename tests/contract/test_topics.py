"""Is what is wrong with the topics said in one line before anything starts?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.membership import KafkaMembership
from processor.adapters.kafka.requirements import settings
from processor.adapters.kafka.topics import check, create
from processor.domain.errors import ConfigurationError, Unavailable
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.ports.log import Append, Place


@asynccontextmanager
async def administering(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@pytest.fixture
async def topics(stack: Stack, namespace: str) -> Topics:
    made = Topics(namespace)
    await create(stack.kafka, made, partitions=3, copies=1, in_sync=1)
    return made


async def alter(stack: Stack, topics: Topics, name: str, **changes: str) -> None:
    """Replace a topic's whole configuration, as this request does."""
    changed = {key.replace("_", "."): value for key, value in changes.items()}
    configs = settings(topics, name, 1) | changed
    async with administering(stack.kafka) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])


async def test_topics_that_were_just_created_pass_and_take_records(
    stack: Stack, topics: Topics
) -> None:
    cluster = await check(stack.kafka, topics, partitions=3, waive_copies=True)
    assert len(cluster.id) == 22
    assert cluster.brokers == 1
    async with KafkaLog(stack.kafka) as log:
        everywhere = [Append(Place(name, n), b"", b"") for name in topics.every for n in range(3)]
        assert await log.append(everywhere) == [0] * len(everywhere)


async def test_a_topic_that_is_made_again_has_another_id(stack: Stack, topics: Topics) -> None:
    first = await check(stack.kafka, topics, partitions=3, waive_copies=True)
    assert first.topics.keys() == set(topics.every)
    assert {len(identity) for identity in first.topics.values()} == {22}
    assert first == await check(stack.kafka, topics, partitions=3, waive_copies=True)
    async with administering(stack.kafka) as admin:
        await admin.delete_topics([topics.events])
    await create(stack.kafka, topics, partitions=3, copies=1, in_sync=1)
    second = await check(stack.kafka, topics, partitions=3, waive_copies=True)
    changed = {name for name in topics.every if first.topics[name] != second.topics[name]}
    assert changed == {topics.events}


async def test_creating_topics_again_changes_nothing(stack: Stack, topics: Topics) -> None:
    assert await create(stack.kafka, topics, partitions=7, copies=1, in_sync=1) == []
    await check(stack.kafka, topics, partitions=3, waive_copies=True)


async def test_topics_that_a_cluster_cannot_hold_are_refused_in_one_line(
    stack: Stack, namespace: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"critical cannot be created: .*replication"):
        await create(stack.kafka, Topics(namespace), copies=3)


async def test_another_count_of_partitions_is_named_with_topic_found_and_wanted(
    stack: Stack, topics: Topics
) -> None:
    async with administering(stack.kafka) as admin:
        await admin.create_partitions({topics.lanes[2]: NewPartitions(4)})
    with pytest.raises(ConfigurationError, match=rf"{topics.lanes[2]} has 4 partitions.* 3;"):
        await check(stack.kafka, topics, partitions=3, waive_copies=True)


async def test_a_topic_that_is_missing_is_named(stack: Stack, namespace: str) -> None:
    with pytest.raises(
        ConfigurationError, match="critical does not exist: run `processor migrate`"
    ):
        await check(stack.kafka, Topics(namespace), partitions=3, waive_copies=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_message_bytes": "1000000"}, "max.message.bytes=1000000, and 4194304 is needed"),
        ({"message_timestamp_type": "CreateTime"}, "message.timestamp.type=CreateTime"),
        ({"retention_ms": "1000"}, "retention.ms=1000, and -1 is needed"),
        ({"cleanup_policy": "compact"}, "cleanup.policy=compact, and delete is needed"),
    ],
)
async def test_a_setting_that_loses_records_is_named(
    stack: Stack, topics: Topics, changes: dict[str, str], said: str
) -> None:
    await alter(stack, topics, topics.events, **changes)
    with pytest.raises(ConfigurationError) as raised:
        await check(stack.kafka, topics, partitions=3, waive_copies=True)
    assert said in str(raised.value)
    assert topics.events in str(raised.value)


async def test_a_single_copy_is_refused_unless_that_is_waived(stack: Stack, topics: Topics) -> None:
    with pytest.raises(ConfigurationError, match="has 1 replicas, and 3 are needed"):
        await check(stack.kafka, topics, partitions=3)


async def test_a_broker_that_does_not_answer_is_named_by_its_address(namespace: str) -> None:
    with pytest.raises(Unavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1;"):
        await check("127.0.0.1:1", Topics(namespace), partitions=3)
    with pytest.raises(Unavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1;"):
        async with KafkaLog("127.0.0.1:1"):
            pass


async def test_a_partition_that_one_lane_alone_has_or_that_was_not_pinned_is_not_worked(
    stack: Stack, topics: Topics
) -> None:
    async with administering(stack.kafka) as admin:
        await admin.create_partitions({topics.lanes[0]: NewPartitions(4)})
    group = f"worker.{topics.namespace}"
    async with KafkaMembership(stack.kafka, group, topics.lanes, 2) as member:
        while not member.assigned():
            await member.changed()
        assert member.assigned() == {0, 1}
