"""A line of topics, a database beside it, and who forgets in them, all in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from processor.adapters.avro import AvroCodec
from processor.adapters.memory.cutting import MemoryCutting
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.forgetting import (
    MemoryForgetting,
    MemoryOffice,
    MemoryPruning,
    Offices,
)
from processor.adapters.memory.ownership import MemoryOwnership
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.rebuilding import MemoryRebuilding
from processor.adapters.memory.step import Step, onward
from processor.domain.priority import LANES
from processor.ports.ledger import Ending, LedgerRow
from processor.ports.log import Place
from processor.runtime import janitor
from projections import pruner, rebuild
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from tests.projecting import PARTITIONS, Line, job, submission

CODEC = AvroCodec()


class Household:
    """Everything that forgets, over one line; `step` is stepped into by all of it."""

    def __init__(self) -> None:
        self.line = Line(CODEC)
        self.rows = MemoryProjections()
        self.database = MemoryDatabase.pinned(PARTITIONS, self.line.clock)
        self.offices = Offices()
        self.horizon: dict[Place, dict[int, int]] = {}
        self.letters = [Place(self.line.names.dead_letters, one) for one in range(PARTITIONS)]

    def janitor(self, step: Step = onward) -> janitor.Janitor:
        forgetting = MemoryForgetting(self.database, self.rows, self.horizon, step=step)
        duties = janitor.Duties(
            office=MemoryOffice(self.offices, "janitor", step=step),
            horizon=forgetting,
            read_side=forgetting,
            ledger=forgetting,
            ownership=MemoryOwnership(self.database, step=step),
            cutting=MemoryCutting(self.line.topics, step=step),
            clock=self.line.clock,
        )
        return janitor.Janitor(duties, self.line.names, PARTITIONS)

    def pruner(self, step: Step = onward) -> pruner.Pruner:
        duties = pruner.Duties(
            office=MemoryOffice(self.offices, "pruner", step=step),
            pruning=MemoryPruning(self.rows, step=step),
            read_side=MemoryForgetting(self.database, self.rows, {}, step=step),
            extent=MemoryCutting(self.line.topics, step=step),
            clock=self.line.clock,
            rebuild=MemoryOffice(self.offices, "rebuild", step=step),
            rebuilding=MemoryRebuilding(self.rows, self.line.names, step=step),
        )
        return pruner.Pruner(duties, self.letters)

    def rebuild(self, step: Step = onward) -> rebuild.Rebuild:
        of = self.line.names, PARTITIONS, self.line.codec

        means = rebuild.Means(
            office=MemoryOffice(self.offices, "rebuild", step=step),
            store=MemoryRebuilding(self.rows, self.line.names, step=step),
            extent=MemoryCutting(self.line.topics, step=step),
            readers=lambda places: self.line.reader(places, step),
            clock=self.line.clock,
        )
        return rebuild.Rebuild([HistoryProjection(*of), DeadLetterProjection(*of)], means)

    def work(self) -> None:
        """As workers that have done everything: positions at the end, a ledger row for each."""
        topics = self.line.topics.partitions
        for number, owner in self.database.owners.items():
            at = [topics[Place(self.line.names.lane(lane), number)].end for lane in LANES]
            self.database.owners[number] = replace(owner, positions=(at[0], at[1], at[2], at[3]))

    def settle(self, number: int, partition: int = 0) -> None:
        """A row of the ledger that ends now."""
        row = LedgerRow(
            job(number), 1, Ending.COMPLETE, partition, submission(number).priority, 0, b"done"
        )
        self.database.ledger[row.job, 1] = row
        self.database.ended_at[row.job, 1] = self.line.clock.now()

    async def project(self) -> None:
        """Let projectors read everything there is."""
        projectors = self.line.projectors(self.rows)
        running = [asyncio.create_task(one.run()) for one in projectors]
        await self.line.until(lambda: self.line.is_projected(self.rows))
        for one in projectors:
            one.stop()
        await self.line.until(lambda: all(task.done() for task in running))
        await asyncio.gather(*running)

    def starts(self, topic: str) -> list[int]:
        """Where each partition of a topic begins."""
        partitions = self.line.topics.partitions
        return [partitions[Place(topic, number)].start for number in range(PARTITIONS)]

    def ends(self, topic: str) -> list[int]:
        """Where each partition of a topic ends."""
        partitions = self.line.topics.partitions
        return [partitions[Place(topic, number)].end for number in range(PARTITIONS)]
