"""Does a database remember to which Kafka cluster it belongs?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.postgres.cluster import Cluster
from processor.domain.errors import ConfigurationError
from tests.contract.worlds import PARTITIONS, PostgresWorld

TOPICS = {"jobs.high": "one", "jobs.low": "two"}


@pytest.fixture
def cluster(real: PostgresWorld) -> Cluster:
    """Pinned already: four partitions, the cluster named `cluster`, no topics."""
    return Cluster(real.service)


async def test_what_is_pinned_once_may_be_pinned_again_by_many_at_once(cluster: Cluster) -> None:
    await asyncio.gather(*(cluster.pin(PARTITIONS, "cluster", TOPICS) for _ in range(4)))
    assert await cluster.partitions() == PARTITIONS


async def test_another_number_of_partitions_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match=r"have 12 partitions, .* started with 4"):
        await cluster.pin(12, "cluster", {})


async def test_another_cluster_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match="belongs to the Kafka cluster cluster, not to"):
        await cluster.pin(PARTITIONS, "other", {})


async def test_a_topic_made_again_is_refused_and_a_new_one_is_remembered(cluster: Cluster) -> None:
    await cluster.pin(PARTITIONS, "cluster", {"jobs.high": "one"})
    await cluster.pin(PARTITIONS, "cluster", TOPICS)
    with pytest.raises(ConfigurationError, match=r"jobs\.low was deleted and made again"):
        await cluster.pin(PARTITIONS, "cluster", {"jobs.low": "three"})


async def test_another_namespace_is_refused_and_more_topics_of_ones_own_are_not(
    cluster: Cluster,
) -> None:
    await cluster.pin(PARTITIONS, "cluster", TOPICS)
    await cluster.pin(PARTITIONS, "cluster", {"jobs.high": "one", "jobs.more": "three"})
    with pytest.raises(ConfigurationError, match=r"of which jobs\.high is one, and not to x\.high"):
        await cluster.pin(PARTITIONS, "cluster", {"x.high": "four"})
