"""What is the janitor made of?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.kafka.cutting import KafkaCutting
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.office import PostgresOffice
from processor.adapters.postgres.ownership import PostgresOwnership
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.runtime.janitor import Duties, Janitor

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from processor.ports.clock import Clock
    from processor.settings import Settings

CONNECTIONS: Final = 2
"""One keeps the office; the other works, once an hour."""


def janitor(settings: Settings, clock: Clock, held: AsyncExitStack) -> Janitor:
    """A janitor with a pool of its own, which connects when it first asks for the office."""
    pool = Pool(settings.need_database(), CONNECTIONS, name="job-janitor", settings=SERVICE)
    held.push_async_exit(pool.__aexit__)
    forgetting = PostgresForgetting(pool)
    duties = Duties(
        office=PostgresOffice(pool, "janitor"),
        horizon=forgetting,
        read_side=forgetting,
        ledger=forgetting,
        ownership=PostgresOwnership(pool),
        cutting=KafkaCutting(settings.need_kafka()),
        clock=clock,
    )
    return Janitor(duties, settings.topics, settings.partitions)
