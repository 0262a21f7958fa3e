"""Who would have been first, without a database?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from processor.adapters.memory.step import Step, onward
from processor.ports.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.ports.operations import AuditQuery, Death, Edit, Note

_ONLY: Final = (OperationKind.REPLAY, OperationKind.DISCARD)


class MemoryOperations:
    """`Operations`; its steps are `operations.first`, `.of`, `.note` and `.told`."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step

    async def first(
        self,
        kind: OperationKind,
        deaths: Sequence[Death],
        actor: str,
        because: str,
        *,
        plan: int | None = None,
        edit: Edit | None = None,
    ) -> list[Operation]:
        """See `Operations`."""
        lost = await self.step("operations.first")
        found = []
        for job, generation in deaths:
            stands = self._standing(kind, job, generation)
            if stands is None:
                mine = Operation(OperationKind(kind), job, generation, actor, because, 0, plan=plan)
                if edit is not None:
                    mine = replace(mine, payload=edit.payload, changes=edit.changes)
                stands = replace(write(self._database, mine), ours=True)
            found.append(stands)
        if lost is not None:
            raise lost
        return found

    async def of(self, deaths: Sequence[Death]) -> list[Operation]:
        """See `Operations`."""
        lost = await self.step("operations.of")
        wanted = set(deaths)
        found = [
            one
            for one in self._database.operations
            if one.kind in _ONLY and one.job is not None and (one.job, one.generation) in wanted
        ]
        if lost is not None:
            raise lost
        return found

    async def note(self, note: Note) -> None:
        """See `Operations`."""
        lost = await self.step("operations.note")
        write_note(self._database, note)
        if lost is not None:
            raise lost

    async def told(self, query: AuditQuery) -> list[Operation]:
        """See `Operations`."""
        lost = await self.step("operations.told")
        told = [_as_told(one) for one in reversed(self._database.operations)]
        if lost is not None:
            raise lost
        return [one for one in told if _is_wanted(one, query)][: query.limit]

    def _standing(self, kind: OperationKind, job: object, generation: int) -> Operation | None:
        key = (kind, job, generation)
        rows = self._database.operations
        return next((one for one in rows if (one.kind, one.job, one.generation) == key), None)


def write_note(database: MemoryDatabase, note: Note) -> None:
    """Write an operation down, also within a step that does what it tells."""
    write(
        database,
        Operation(
            note.kind,
            note.job,
            note.generation,
            note.actor,
            note.reason,
            0,
            subject=note.subject,
            plan=note.plan,
        ),
    )


def write(database: MemoryDatabase, operation: Operation) -> Operation:
    """Append one, with its number and its time."""
    number = len(database.operations) + 1
    written = replace(operation, number=number, at=database.clock.now())
    database.operations.append(written)
    return written


def _as_told(one: Operation) -> Operation:
    return one if one.payload is None else replace(one, kind=OperationKind.EDIT)


def _is_wanted(one: Operation, query: AuditQuery) -> bool:
    wanted = ((query.kind, one.kind), (query.actor, one.actor), (query.job, one.job))
    return (
        all(want is None or want == has for want, has in wanted)
        and (query.since is None or one.at >= query.since)
        and (query.until is None or one.at < query.until)
        and (query.before is None or one.number < query.before)
        and (query.singly or one.plan is None or one.kind not in _ONLY)
    )
