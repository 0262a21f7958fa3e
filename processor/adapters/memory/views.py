"""What would operators see of the whole, without a database?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from processor.adapters.memory.situations import ended_lately, live_workers
from processor.adapters.memory.step import Step, onward
from processor.adapters.memory.sweeping import waiting_of
from processor.domain.ids import entity_key
from processor.domain.priority import LANES
from processor.ports.holds import HoldKind
from processor.ports.views import EntitySeen, LongRun, Whole, WorkerSeen, WorkersSeen
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from uuid import UUID

    from processor.adapters.memory.database import MemoryDatabase
    from processor.ports.holds import Hold


class MemoryViews:
    """`Views`; its steps are `views.workers`, `.entity` and `.whole`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def workers(self) -> WorkersSeen:
        """See `Views`."""
        lost = await self.step("views.workers")
        owners: dict[UUID | None, list[int]] = {}
        for number, owner in sorted(self._database.owners.items()):
            owners.setdefault(None if owner.released else owner.worker, []).append(number)
        seen = [
            WorkerSeen(one, 0, mine := tuple(owners.pop(one.id, ())), self._long(mine))
            for one in live_workers(self._database)
        ]
        ownerless = sorted(number for rest in owners.values() for number in rest)
        if lost is not None:
            raise lost
        return WorkersSeen(tuple(seen), tuple(ownerless))

    async def entity(self, tenant: str | None, entity: str, limit: int) -> EntitySeen:
        """See `Views`."""
        lost = await self.step("views.entity")
        database, key = self._database, entity_key(tenant, entity)
        found = sorted(
            (
                one
                for one in database.waiting.values()
                if one.row.entity_key == key and not database.is_over(one.row)
            ),
            key=lambda one: (not one.row.holds, one.row.lane, one.row.place),
        )
        waiting = [waiting_of(one) for one in found]
        head = waiting[0] if waiting and waiting[0].wait.holds else None
        wanted = {(HoldKind.ENTITY, entity), (HoldKind.TENANT, tenant)}
        if lost is not None:
            raise lost
        return EntitySeen(
            head,
            tuple(waiting[1 : limit + 1] if head else waiting[:limit]),
            Counter(one.wait.state for one in waiting),
            tuple(one for one in self._holds() if (one.kind, one.value) in wanted),
        )

    async def whole(self) -> Whole:
        """See `Views`."""
        lost = await self.step("views.whole")
        database = self._database
        lately = {lane: ended_lately(database, None, lane) for lane in LANES}
        heads = Counter(
            WaitingState(one.row.state) for one in database.waiting.values() if one.row.holds
        )
        if lost is not None:
            raise lost
        return Whole(
            {number: owner.positions for number, owner in database.owners.items()},
            {lane: count for lane, count in lately.items() if count},
            len(database.waiting),
            heads,
            self._holds(),
        )

    def _long(self, partitions: tuple[int, ...]) -> tuple[LongRun, ...]:
        return tuple(
            LongRun(one.row.job, one.partition, one.since, one.wait.runs)
            for one in self._database.waiting.values()
            if one.row.state == WaitingState.RUNNING and one.partition in partitions
        )

    def _holds(self) -> tuple[Hold, ...]:
        holds = self._database.holds.values()
        return tuple(one for one in holds if self._database.is_open(one.id))
