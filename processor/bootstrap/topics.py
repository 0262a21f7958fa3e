"""Are the topics what the settings say?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.kafka import topics

if TYPE_CHECKING:
    from processor.adapters.kafka.topics import Cluster
    from processor.settings import Settings

PRODUCTION_COPIES: Final = 3
"""Fewer copies of a record than these waive durability, and the log says so."""


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; the names of what was created."""
    return await topics.create(
        settings.need_kafka(),
        settings.topics,
        partitions=settings.partitions,
        copies=settings.replication,
        in_sync=max(1, settings.replication - 1),
    )


async def assert_topics(settings: Settings) -> None:
    """Assert that they are there, for who would wait long for one that is not; raises the same."""
    await topics.assert_there(
        settings.need_kafka(), settings.topics, partitions=settings.partitions
    )


async def check_topics(settings: Settings) -> Cluster:
    """Assert what the promises ask of the topics; raises `ConfigurationError`, `Unavailable`."""
    return await topics.check(
        settings.need_kafka(),
        settings.topics,
        partitions=settings.partitions,
        waive_copies=settings.replication < PRODUCTION_COPIES,
    )
