"""What would be held, without a database?"""

from __future__ import annotations

from dataclasses import replace

from processor.adapters.memory.breaking import MemoryBreaking
from processor.adapters.memory.operations import write_note
from processor.ports.holds import Hold, HoldKind, HoldMode, released
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

    async def release(
        self, hold: int | tuple[HoldKind, str], by: str, because: str, rate: int | None = None
    ) -> bool:
        """See `Holds`."""
        lost = await self.step("holds.release")
        found = [one for one in self._open() if hold in (one.id, (one.kind, one.value))]
        if rate is not None:
            found = [one for one in found if not one.is_breakers]
        for one in found:
            if rate is None:
                self._end(one, by, because)
            else:
                let_out = replace(one, mode=HoldMode.RELEASING, rate=rate)
                self._database.holds[one.id] = let_out
            subject = released(one.kind, one.value, rate)
            write_note(self._database, Note(OperationKind.RELEASE, by, because, subject))
        if lost is not None:
            raise lost
        return bool(found)

    async def finish(self, hold: int) -> bool:
        """See `Holds`."""
        lost = await self.step("holds.finish")
        found = self._database.holds.get(hold)
        waits = any(row.hold == hold for row in self._database.waiting.values())
        done = found is not None and found.mode is HoldMode.RELEASING and not waits
        if found is not None and done:
            self._end(found, found.by, "all it kept was let out")
        if lost is not None:
            raise lost
        return done
