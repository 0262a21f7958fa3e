"""Is the database ours, and does it belong to this Kafka cluster?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.postgres.cluster import Cluster
from processor.adapters.postgres.migrated import assert_migrated
from processor.adapters.postgres.telling import told

if TYPE_CHECKING:
    from processor.adapters.kafka import topics
    from processor.adapters.postgres.pool import Pool
    from processor.settings import Settings


async def check_tables(settings: Settings, pool: Pool) -> None:
    """Assert that the tables are this release's; raises `ConfigurationError`, `Unavailable`."""
    with told(settings.need_database()):
        async with pool.connection() as connection:
            await assert_migrated(connection)


async def check_cluster(settings: Settings, pool: Pool, kafka: topics.Cluster) -> None:
    """Assert that the database belongs to this cluster, as the first start pins it.

    Raises `ConfigurationError`, `Unavailable`.
    """
    with told(settings.need_database()):
        await Cluster(pool).pin(settings.partitions, kafka.id, kafka.topics)
