"""Who would have been first, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.operations import Operation, OperationKind

if TYPE_CHECKING:
    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId


class MemoryOperations:
    """`Operations`; its steps are `operations.first` and `.of`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def first(
        self, kind: OperationKind, job: JobId, generation: int, actor: str, because: str
    ) -> Operation:
        """See `Operations`."""
        lost = await self.step("operations.first")
        key = (OperationKind(kind), job, generation)
        now = self._database.clock.now()
        mine = Operation(*key, actor, because, now, ours=True)
        stands = self._database.operations.setdefault(key, mine)
        if lost is not None:
            raise lost
        return stands if stands is mine else replace(stands, ours=False)

    async def of(self, job: JobId, generation: int) -> list[Operation]:
        """See `Operations`."""
        lost = await self.step("operations.of")
        found = [
            replace(one, ours=False)
            for one in self._database.operations.values()
            if (one.job, one.generation) == (job, generation)
        ]
        if lost is not None:
            raise lost
        return sorted(found, key=lambda one: one.at)
