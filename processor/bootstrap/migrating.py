"""How do topics and tables come to be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.postgres import migrations
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.bootstrap.database import check_cluster
from processor.bootstrap.topics import check_topics, create_topics

if TYPE_CHECKING:
    from processor.settings import Settings


async def migrate(settings: Settings) -> list[str]:
    """Create the topics that are missing, bring the tables up to date; the topics created.

    Harmless when nothing is missing. Raises `ConfigurationError`, `Unavailable`.
    """
    url = settings.need_database()
    # Connected first: an address that is wrong leaves no topics behind.
    async with Pool(url, 1, name="job-migration", settings=SERVICE) as pool:
        created = await create_topics(settings)
        cluster = await check_topics(settings)
        await migrations.migrate(url)
        await check_cluster(settings, pool, cluster)
    return created
