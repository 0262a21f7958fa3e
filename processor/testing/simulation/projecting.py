"""Which processes move the projections in a simulated run?

Each holds a real projector of either projection. Where there are two they compete: whoever is
refused stands by, and takes over once nothing moves. One that stood still wakes with a late write.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.testing.naming import CODEC, TOPICS
from processor.testing.process import Process
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.projector import Projector

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from processor.adapters.memory.step import Step
    from processor.ports.log import Place, Reader
    from processor.ports.projection import AsideRow, Batch, Move, Projections
    from processor.testing.operated import OperatedCluster
    from processor.testing.process import Hook
    from projections.projection import Projection

RECORDS: Final = 8
"""In a batch: few, so that it takes several."""


def projections(partitions: int) -> tuple[Projection, ...]:
    """All there are."""
    return (
        HistoryProjection(TOPICS, partitions, CODEC),
        DeadLetterProjection(TOPICS, partitions, CODEC),
    )


def unprojected(cluster: OperatedCluster) -> bool:
    """Whether the log goes further than a checkpoint."""
    checkpoints = cluster.projections.checkpoints
    return any(
        checkpoints.get((projection.name, place), 0) < cluster.topics.partitions[place].end
        for projection in projections(cluster.partitions)
        for place in projection.places
    )


class ProjectorProcess(Process):
    """One process that moves both projections."""

    def __init__(self, cluster: OperatedCluster, name: str, hook: Hook) -> None:
        super().__init__(name, hook)
        self._cluster = cluster
        self.stops = False
        """It was told to stop."""
        self._projectors = [
            Projector(
                projection,
                readers=self._reader,
                log=MemoryLog(cluster.topics, step=self.passes),
                store=_Stepped(cluster.projections, self.passes),
                clock=cluster.clock,
                records=RECORDS,
            )
            for projection in projections(cluster.partitions)
        ]

    def start(self) -> None:
        """Begin to project."""
        self.begin(self._project())

    def stop(self) -> None:
        """Tell it to stop, as a signal would."""
        self.stops = True
        for projector in self._projectors:
            projector.stop()

    async def _project(self) -> None:
        async with asyncio.TaskGroup() as group:
            for projector in self._projectors:
                group.create_task(projector.run())

    def _reader(self, places: Sequence[Place]) -> AbstractAsyncContextManager[Reader]:
        cluster = self._cluster
        return nullcontext(MemoryReader(cluster.topics, places, cluster.clock, step=self.passes))


class _Stepped:
    """`Projections` as one process asks them: every call passes its step."""

    def __init__(self, store: Projections, step: Step) -> None:
        self._store = store
        self._step = step

    async def begin(self, projection: str, starts: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `Projections`."""
        lost = await self._step("projection.begin")
        checkpoints = await self._store.begin(projection, starts)
        if lost is not None:
            raise lost
        return checkpoints

    async def write(self, projection: str, moves: Sequence[Move], batch: Batch) -> bool:
        """See `Projections`."""
        lost = await self._step("projection.write")
        stands = await self._store.write(projection, moves, batch)
        if lost is not None:
            raise lost
        return stands

    async def kept_aside(self, topics: Collection[str], after: AsideRow | None) -> list[AsideRow]:
        """See `Projections`."""
        lost = await self._step("projection.aside")
        rows = await self._store.kept_aside(topics, after)
        if lost is not None:
            raise lost
        return rows
