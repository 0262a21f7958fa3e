"""Who would own a partition, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.memory.step import Step, onward
from processor.ports.ownership import Owner

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from processor.adapters.memory.database import MemoryDatabase
    from processor.ports.ownership import Move


class MemoryOwnership:
    """`Ownership`; its steps are `ownership.owners`, `.take`, `.advance` and `.release`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def owners(self, partitions: Collection[int]) -> Mapping[int, Owner]:
        """See `Ownership`."""
        lost = await self.step("ownership.owners")
        owners = self._database.owners
        found = {number: owners[number] for number in partitions if number in owners}
        if lost is not None:
            raise lost
        return found

    async def take(self, seen: Owner, token: UUID, worker: UUID, *, unclean: bool) -> Owner | None:
        """See `Ownership`."""
        lost = await self.step("ownership.take")
        stands = self._database.owners.get(seen.partition)
        taken = None
        if stands is not None and stands.token == seen.token:
            taken = replace(
                stands,
                token=token,
                worker=worker,
                released=False,
                unclean=stands.unclean + 1 if unclean and not stands.released else 0,
                epoch=stands.epoch + 1,
            )
            self._database.owners[seen.partition] = taken
        if lost is not None:
            raise lost
        return taken

    async def advance(self, moves: Sequence[Move]) -> set[int]:
        """See `Ownership`."""
        if not moves:
            return set()
        lost = await self.step("ownership.advance")
        moved = {move.fence.partition for move in moves if self._move(move, released=False)}
        if lost is not None:
            raise lost
        return moved

    async def release(self, move: Move) -> bool:
        """See `Ownership`."""
        lost = await self.step("ownership.release")
        released = self._move(move, released=True)
        if lost is not None:
            raise lost
        return released

    def _move(self, move: Move, *, released: bool) -> bool:
        owners, number = self._database.owners, move.fence.partition
        stands = owners.get(number)
        if stands is None or stands.released:
            return False
        if (stands.token, stands.positions) != (move.fence.token, move.before):
            return False
        owners[number] = replace(stands, positions=move.after, released=released)
        return True
