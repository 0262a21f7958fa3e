"""How is a lane read whose records may kill who decodes them?

How far is noted before anything is decoded, from the first death on, and not much is read ahead, so
that the next one makes few suspects. In quarantine what lies below
that is decoded one by one, each under its mark, and what lies above only afterwards, so that no
entity's order is turned round. While another suspect has the turn the fetcher comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.quarantine import READ_AHEAD
from processor.ports.suspects import Mark
from processor.runtime.admission import verdict
from processor.runtime.decoding import Unread
from processor.runtime.intake import Halt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from processor.domain.priority import Priority
    from processor.domain.quarantine import Quarantine
    from processor.ports.log import LogRecord
    from processor.runtime.decoding import Decoder
    from processor.runtime.intake import Intake, Read
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.suspects import Warden

AT_ONCE = 10
"""Suspects of one partition that are decoded before the lane's other partitions have their turn."""
PAUSE = 0.02


class Examiner:
    """Hands to the intake what may be decoded."""

    def __init__(
        self, intake: Intake, warden: Warden, worker: UUID, wake: Callable[[], None]
    ) -> None:
        self._intake = intake
        self._warden = warden
        self._worker = worker
        self._wake = wake

    def spills_enough(self, lane: Priority) -> bool:
        """As `Intake.spills_enough`."""
        return self._intake.spills_enough(lane)

    async def take_in(self, decoder: Decoder, lane: Priority, read: Read) -> list[Halt]:
        """As `Intake.take_in`, one by one where records are suspected."""
        if all(partition.quarantine is None for partition, _ in read):
            return await self._intake.take_in(decoder, lane, read)
        free, halts = [], []
        for partition, records in read:
            halt, rest = await self._examine(decoder, lane, partition, records)
            halts += halt
            free.append((partition, rest))
        return halts + await self._intake.take_in(decoder, lane, free)

    async def _examine(
        self,
        decoder: Decoder,
        lane: Priority,
        partition: OwnedPartition,
        records: Sequence[LogRecord],
    ) -> tuple[list[Halt], Sequence[LogRecord]]:
        """Take in the suspects among some records; those that nobody suspects are left."""
        quarantine = partition.quarantine
        if quarantine is None:
            return [], records
        fetched = partition.position(lane).fetched
        fresh = [record for record in records if record.offset >= fetched]
        unfinished, bound = partition.unfinished(lane, READ_AHEAD)
        room = max(0, bound - unfinished)
        now, later = fresh[:room], fresh[room:]
        rest = [Halt(partition, later[0].offset)] if later else []
        if not now:
            return rest, ()
        if not await self._warden.reach(partition, lane, now[-1].offset + 1):
            return [], ()
        end = quarantine.until(lane)
        suspects = [record for record in now if record.offset < end]
        halts = await self._one_by_one(decoder, lane, partition, quarantine, suspects)
        if halts or not partition.open:
            return halts, ()
        return rest, [record for record in now if record.offset >= end]

    async def _one_by_one(
        self,
        decoder: Decoder,
        lane: Priority,
        partition: OwnedPartition,
        quarantine: Quarantine,
        suspects: Sequence[LogRecord],
    ) -> list[Halt]:
        turn, admission = object(), self._warden.admission
        if suspects and not admission.may_decode(turn):
            return [Halt(partition, suspects[0].offset, pause=PAUSE)]
        try:
            for record in suspects[:AT_ONCE]:
                halts = await self._take_one(decoder, lane, partition, quarantine, record)
                if halts or not partition.open:
                    return halts
        finally:
            admission.ended(turn)
            self._wake()
        if len(suspects) > AT_ONCE:
            admission.want_to_decode()
            return [Halt(partition, suspects[AT_ONCE].offset)]
        return []

    async def _take_one(
        self,
        decoder: Decoder,
        lane: Priority,
        partition: OwnedPartition,
        quarantine: Quarantine,
        record: LogRecord,
    ) -> list[Halt]:
        read = [(partition, [record])]
        proof = quarantine.convicted(lane, record.offset)
        if proof is not None and proof.is_unreadable:
            return await self._intake.take_in(Unread(decoder, verdict(proof)), lane, read)
        mark = Mark(self._worker, lane, record.offset, alone=True, decoding=True)
        try:
            if not await self._warden.mark(partition, mark):
                return []
            return await self._intake.take_in(decoder, lane, read)
        finally:
            await self._warden.clear(partition, mark)
