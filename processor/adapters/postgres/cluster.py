"""Which Kafka cluster does this database belong to, and over how many partitions?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from processor.domain.errors import ConfigurationError
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.adapters.postgres.pool import Pool

_FIRST: Final = """
INSERT INTO jobs.cluster (partitions, kafka, topics) VALUES ($1, $2, $3::jsonb)
ON CONFLICT DO NOTHING
"""
_OWNERSHIP: Final = """
INSERT INTO jobs.ownership (partition) SELECT generate_series(0, $1::integer - 1)
ON CONFLICT DO NOTHING
"""
_READ: Final = "SELECT partitions, kafka, topics::text AS topics FROM jobs.cluster"
_NEW_TOPICS: Final = "UPDATE jobs.cluster SET topics = $1::jsonb || topics"


class Cluster:
    """The one row of `jobs.cluster`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def partitions(self) -> int | None:
        """The pinned number of partitions of every lane; None before the first `pin`."""
        async with self._pool.connection(Priority.HIGH) as connection:
            found: int | None = await connection.fetchval("SELECT partitions FROM jobs.cluster")
        return found

    async def pin(
        self, partitions: int, kafka_cluster_id: str, topic_ids: Mapping[str, str]
    ) -> None:
        """Remember what this database belongs to; at every later start compare.

        Makes the ownership rows. A topic that was not known is added. Raises `ConfigurationError`.
        """
        given = json.dumps(dict(topic_ids))
        async with self._pool.connection(Priority.HIGH) as connection:
            await connection.execute(_FIRST, partitions, kafka_cluster_id, given)
            row = await connection.fetchrow(_READ)
            assert row is not None  # noqa: S101 - inserted above, and never deleted
            known: dict[str, str] = json.loads(row["topics"])
            _compare(row["partitions"], partitions, row["kafka"], kafka_cluster_id)
            _compare_topics(known, topic_ids)
            if topic_ids.keys() - known.keys():
                await connection.execute(_NEW_TOPICS, given)
            await connection.execute(_OWNERSHIP, partitions)

    async def compare(
        self, partitions: int, kafka_cluster_id: str, topic_ids: Mapping[str, str]
    ) -> None:
        """The same without remembering anything: before the first `pin` all is well."""
        async with self._pool.connection(Priority.HIGH) as connection:
            row = await connection.fetchrow(_READ)
        if row is not None:
            _compare(row["partitions"], partitions, row["kafka"], kafka_cluster_id)
            _compare_topics(json.loads(row["topics"]), topic_ids)


def _compare(pinned: int, partitions: int, known: str, kafka: str) -> None:
    if known != kafka:
        raise ConfigurationError(
            f"this database belongs to the Kafka cluster {known}, not to {kafka}:"
            " its positions mean nothing there; use the database of that cluster, or an empty one"
        )
    if pinned != partitions:
        raise ConfigurationError(
            f"the lanes have {partitions} partitions, but this database was started with {pinned}:"
            " entities would change their partition; set the number back"
        )


def _compare_topics(known: Mapping[str, str], given: Mapping[str, str]) -> None:
    if known and given and not known.keys() & given.keys():
        raise ConfigurationError(
            f"this database belongs to other topics, of which {min(known)} is one, and not to"
            f" {min(given)}: one namespace has one database; set JOBS_NAMESPACE or JOBS_DATABASE"
        )
    for topic, identity in sorted(given.items()):
        if known.get(topic, identity) != identity:
            raise ConfigurationError(
                f"the topic {topic} was deleted and made again ({known[topic]} is now {identity}):"
                " the positions in this database belong to the old one;"
                " use an empty database, or another JOBS_NAMESPACE with one"
            )
