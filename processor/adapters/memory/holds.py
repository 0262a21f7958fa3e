"""What would be held, without a database?"""

from __future__ import annotations

from dataclasses import replace

from processor.adapters.memory.breaking import MemoryBreaking
from processor.adapters.memory.operations import write_note
from processor.ports.holds import Hold, HoldKind, HoldMode
from processor.ports.operations import Note, OperationKind


class MemoryHolds(MemoryBreaking):
    """`AllHolds`; its steps are `holds.open`, `.hold`, `.release` and those of breakers."""

    async def open(self) -> list[Hold]:
        """See `Holds`."""
        lost = await self.step("holds.open")
        found = self._open()
        if lost is not None:
            raise lost
        return found

    async def hold(
        self, kind: HoldKind, value: str, by: str, because: str, until: int | None = None
    ) -> Hold:
        """See `Holds`."""
        lost = await self.step("holds.hold")
        same = [
            hold
            for hold in self._open()
            if (hold.kind, hold.value, hold.release) == (kind, value, None)
        ]
        if same:
            ends = None if None in (same[0].until, until) else max(same[0].until or 0, until or 0)
            hold = replace(same[0], until=ends, mode=HoldMode.HELD)
        else:
            number = self._database.last_hold = self._database.last_hold + 1
            now = self._database.clock.now()
            hold = Hold(number, HoldKind(kind), value, None, because, by, now, until)
        self._database.holds[hold.id] = hold
        note = Note(OperationKind.HOLD, by, because, f"{hold.kind} {value}")
        write_note(self._database, note)
        if lost is not None:
            raise lost
        return hold

    async def release(self, hold: int | tuple[HoldKind, str], by: str, because: str) -> bool:
        """See `Holds`."""
        lost = await self.step("holds.release")
        released = [one for one in self._open() if hold in (one.id, (one.kind, one.value))]
        for one in released:
            self._end(one, by, because)
            note = Note(OperationKind.RELEASE, by, because, f"{one.kind} {one.value}")
            write_note(self._database, note)
        if lost is not None:
            raise lost
        return bool(released)
