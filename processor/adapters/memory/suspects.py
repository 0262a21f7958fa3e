"""What would be held against records, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.domain.quarantine import Suspect
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.adapters.memory.database import MemoryDatabase
    from processor.adapters.memory.rows import Waiting
    from processor.ports.ownership import Fence, Positions
    from processor.ports.suspects import Mark

STANDING = frozenset({WaitingState.HELD, WaitingState.BLOCKING})
"""Rows that do not run as they are."""


class MemorySuspects:
    """`Suspects`; its steps are `suspects.reach`, `.mark`, `.clear` and `.calm`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def reach(self, fence: Fence, reached: Positions) -> bool:
        """See `Suspects`."""
        return await self._step("reach", lambda: self._reach(fence, reached))

    async def mark(self, fence: Fence, mark: Mark) -> bool:
        """See `Suspects`."""
        return await self._step("mark", lambda: self._mark(fence, mark))

    async def clear(self, partition: int, mark: Mark, *, forget: bool = False) -> None:
        """See `Suspects`."""
        await self._step("clear", lambda: self._clear(partition, mark, forget=forget))

    async def calm(self, fence: Fence) -> bool:
        """See `Suspects`."""
        return await self._step("calm", lambda: self._calm(fence))

    async def _step(self, name: str, act: Callable[[], bool]) -> bool:
        lost = await self.step(f"suspects.{name}")
        answer = act()
        if lost is not None:
            raise lost
        return answer

    def _reach(self, fence: Fence, reached: Positions) -> bool:
        if not self._database.owns(fence):
            return False
        owner = self._database.owners[fence.partition]
        before = owner.suspect_until or reached
        critical, high, normal, low = map(max, before, reached)
        until = (critical, high, normal, low)
        self._database.owners[fence.partition] = replace(owner, suspect_until=until)
        return True

    def _mark(self, fence: Fence, mark: Mark) -> bool:
        if not self._database.owns(fence):
            return False
        key = (fence.partition, mark.lane, mark.offset)
        before = self._database.suspects.get(key)
        suspect = Suspect(mark.lane, mark.offset) if before is None else before[1]
        self._database.suspects[key] = (mark, suspect)
        return True

    def _clear(self, partition: int, mark: Mark, *, forget: bool) -> bool:
        key = (partition, mark.lane, mark.offset)
        by, suspect = self._database.suspects.get(key, (None, None))
        mine = by is not None and by.worker == mark.worker
        if suspect is None or not (mine or forget):
            return False
        if forget or not suspect.deaths:
            del self._database.suspects[key]
        else:
            self._database.suspects[key] = (None, suspect)
        return True

    def _calm(self, fence: Fence) -> bool:
        database = self._database
        if not database.owns(fence) or any(map(self._may_run, self._old_rows(fence))):
            return False
        owner = database.owners[fence.partition]
        database.owners[fence.partition] = replace(owner, unclean=0, suspect_until=None)
        for key in [key for key in database.suspects if key[0] == fence.partition]:
            del database.suspects[key]
        return True

    def _old_rows(self, fence: Fence) -> list[Waiting]:
        rows = self._database.waiting.values()
        return [
            row for row in rows if row.partition == fence.partition and row.token != fence.token
        ]

    def _may_run(self, waiting: Waiting) -> bool:
        row, due_at = waiting.row, waiting.due_at
        if row.state in STANDING or (due_at is not None and due_at > self._database.clock.now()):
            return False
        heads = [head for head in self._database.heads(row.entity_key) if head.job != row.job]
        return row.state != WaitingState.QUEUED or not heads
