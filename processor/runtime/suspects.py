"""How is what may kill its process kept from doing so for ever?

Before it is touched it is marked, where the mark outlives the worker; afterwards the mark is taken
off. Which records that concerns says the partition's quarantine; where there is none nothing of
this is done. A job of the waiting room is marked after the first death already, since no position
tells that it was running.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from processor.ports.ledger import Fault
from processor.ports.suspects import Mark
from processor.runtime.books import until_answered
from processor.runtime.enduring import to_the_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from processor.domain.priority import Priority
    from processor.domain.quarantine import Quarantine
    from processor.ports.clock import Clock
    from processor.ports.suspects import Suspects
    from processor.runtime.admission import Admission
    from processor.runtime.attempt import Attempts
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition

CALM_AFTER = 2.0
LONGEST_PAUSE = 30.0
"""Seconds until a partition that looks calm is asked about again: it may have many rows."""

log = structlog.get_logger(__name__)


class Warden:
    """Marks what is dangerous, and sees when the danger is over."""

    def __init__(
        self,
        worker: UUID,
        suspects: Suspects,
        clock: Clock,
        admission: Admission,
        doubt: Callable[[OwnedPartition, str], None],
    ) -> None:
        self._worker = worker
        self._suspects = suspects
        self._clock = clock
        self._doubt = doubt
        self.admission = admission

    async def attempt(self, attempts: Attempts, delivery: Delivery) -> None:
        """Run an attempt in a partition whose owners died, marked where it may have killed one."""
        partition, quarantine = delivery.partition, delivery.partition.quarantine
        alone = self.admission.has_turn(delivery)
        if quarantine is None or delivery.corrupt is not None or not (alone or delivery.waits):
            await attempts.run(delivery)
            if quarantine is not None and delivery.corrupt is not None:
                await self._pardon(delivery, quarantine)
            return
        mark = Mark(self._worker, delivery.lane, delivery.offset, alone)
        try:
            marked = await self.mark(partition, mark)
        except asyncio.CancelledError:
            await to_the_end(asyncio.ensure_future(attempts.stop(delivery)))
        else:
            await (attempts.run(delivery) if marked else attempts.stop(delivery))
        finally:
            await self.clear(partition, mark)

    async def reach(self, partition: OwnedPartition, lane: Priority, end: int) -> bool:
        """Note how far a lane is read before it is decoded; False where the partition is lost."""
        quarantine = partition.quarantine
        reached = None if quarantine is None else quarantine.reach(lane, end)
        if reached is None:
            return partition.open
        critical, high, normal, low = reached
        until = (critical, high, normal, low)
        return await self._is_written(
            partition, lambda: self._suspects.reach(partition.fence, until)
        )

    async def mark(self, partition: OwnedPartition, mark: Mark) -> bool:
        """Mark a record before it is touched; False where the partition is lost."""
        if partition.quarantine is not None:
            partition.quarantine.marked += 1
        return await self._is_written(partition, lambda: self._suspects.mark(partition.fence, mark))

    async def clear(self, partition: OwnedPartition, mark: Mark) -> None:
        """Take a mark off: the record was touched and this process lives."""
        await self._clear(partition, mark, forget=False)
        if partition.quarantine is not None:
            partition.quarantine.marked -= 1

    async def run(self, owned: Callable[[], dict[int, OwnedPartition]]) -> None:
        """See until cancelled whether partitions are calm again."""
        pause = CALM_AFTER
        while True:
            await self._clock.sleep(pause)
            refused = False
            for partition in list(owned().values()):
                quarantine = partition.quarantine
                if quarantine is not None and quarantine.has_passed(partition.written):
                    refused |= not await self._is_calm(partition)
            pause = min(LONGEST_PAUSE, pause * 2) if refused else CALM_AFTER

    async def _is_calm(self, partition: OwnedPartition) -> bool:
        try:
            calm = await self._suspects.calm(partition.fence)
        except Fault as fault:
            log.warning("whether a partition is calm is not known yet", because=str(fault))
            return False
        if calm:
            partition.quarantine = None
            log.info("a partition is calm again", partition=partition.number)
        return calm

    async def _pardon(self, delivery: Delivery, quarantine: Quarantine) -> None:
        """What was convicted has ended: its next generation begins without a stain."""
        lane, offset = delivery.lane, delivery.offset
        if not (delivery.settled and delivery.partition.open):
            return
        if quarantine.convicted(lane, offset) is not None:
            quarantine.pardon(lane, offset)
            mark = Mark(self._worker, lane, offset, alone=True)
            await self._clear(delivery.partition, mark, forget=True)

    async def _clear(self, partition: OwnedPartition, mark: Mark, *, forget: bool) -> None:
        async def ask() -> None:
            try:
                await self._suspects.clear(partition.number, mark, forget=forget)
            except Fault:
                if partition.open:
                    raise

        await until_answered(self._clock, ask)

    async def _is_written(
        self, partition: OwnedPartition, write: Callable[[], Awaitable[bool]]
    ) -> bool:
        """Write until it is answered; False where the partition is not ours any more."""

        async def ask() -> bool:
            return partition.open and await write()

        mine = await until_answered(self._clock, ask)
        if not mine and partition.open:
            self._doubt(partition, "a mark met another owner's token")
        return mine
