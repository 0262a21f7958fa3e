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
    from processor.domain.quarantine import Suspect
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
            beat = None if stands.worker is None else self._database.workers.get(stands.worker)
            died = unclean and not stands.released and beat is not None and not beat.leaving
            self._blame(stands, died=died)
            taken = replace(
                stands,
                token=token,
                worker=worker,
                released=False,
                unclean=stands.unclean + died,
                epoch=stands.epoch + 1,
            )
            self._database.owners[seen.partition] = taken
            taken = replace(taken, suspects=self._suspects(seen.partition))
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

    def _blame(self, dead: Owner, *, died: bool) -> None:
        """Count a death against the one suspect; other marks stay, or go where nobody died."""
        rows = self._database.suspects
        for key, (mark, suspect) in list(rows.items()):
            if key[0] != dead.partition or mark is None or mark.worker != dead.worker:
                continue
            if died:
                deaths = suspect.deaths + mark.alone
                decoding = suspect.while_decoding + (mark.alone and mark.decoding)
                rows[key] = (mark, suspect._replace(deaths=deaths, while_decoding=decoding))
            elif suspect.deaths:
                rows[key] = (None, suspect)
            else:
                del rows[key]

    def _suspects(self, partition: int) -> tuple[Suspect, ...]:
        found = self._database.suspects.items()
        return tuple(suspect for key, (_, suspect) in sorted(found) if key[0] == partition)

    def _move(self, move: Move, *, released: bool) -> bool:
        owners, number = self._database.owners, move.fence.partition
        stands = owners.get(number)
        if stands is None or stands.released:
            return False
        if (stands.token, stands.positions) != (move.fence.token, move.before):
            return False
        owners[number] = replace(stands, positions=move.after, released=released)
        return True
