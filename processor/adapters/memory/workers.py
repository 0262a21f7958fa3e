"""Which workers would live, without a database?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.ownership import Beat

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from processor.adapters.memory.database import MemoryDatabase


class MemoryWorkers:
    """`Workers`; its steps are `workers.join`, `.beat`, `.leave` and `.part`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._workers = database.workers
        self._releases = database.releases
        self._handlers = database.handlers
        self.step = step

    async def join(self, worker: UUID, release: str, types: Collection[str]) -> None:
        """See `Workers`."""
        lost = await self.step("workers.join")
        known = self._workers.get(worker)
        self._handlers[worker] = frozenset(types)
        self._workers[worker] = Beat(0 if known is None else known.beat, leaving=False)
        self._releases[worker] = release
        if lost is not None:
            raise lost

    async def beat(self, worker: UUID) -> Mapping[UUID, Beat]:
        """See `Workers`."""
        lost = await self.step("workers.beat")
        known = self._workers.get(worker)
        if known is not None:
            self._workers[worker] = Beat(known.beat + 1, known.leaving)
        everybody = dict(self._workers)
        if lost is not None:
            raise lost
        return everybody

    async def leave(self, worker: UUID) -> None:
        """See `Workers`."""
        lost = await self.step("workers.leave")
        known = self._workers.get(worker)
        if known is not None:
            self._workers[worker] = Beat(known.beat, leaving=True)
        if lost is not None:
            raise lost

    async def part(self, worker: UUID) -> None:
        """See `Workers`."""
        lost = await self.step("workers.part")
        self._workers.pop(worker, None)
        self._releases.pop(worker, None)
        if lost is not None:
            raise lost
