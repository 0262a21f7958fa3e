"""What does a job wait for, apart from its turn in its lane?

Told in words beside its status: the state says where in its life it is, this says why it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.job import State
from processor.ports.holds import by_name, names_of
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from processor.domain.status import JobStatus
    from processor.ports.holds import Hold, Holds
    from processor.ports.waiting_room import Rows, Waiting

_BEGUN_AND_NOT_RUNNING: Final = (State.QUEUED, State.SCHEDULED, State.RETRYING)
_OPERATOR: Final = "an operator, who replays or discards it; its entity waits with it"
_HANDLER: Final = "a handler of its type"
_ENTITY: Final = "its turn among the jobs of its entity"


class Reasons:
    """Asks the holds and the waiting room."""

    def __init__(self, rows: Rows, holds: Holds) -> None:
        self._rows = rows
        self._holds = holds

    async def of(self, status: JobStatus) -> str | None:
        """What the job waits for; None where it runs, has ended, or only its turn is missing.

        A held job is told by the hold, whether or not a worker has met it. Raises `Fault`.
        """
        if status.state is State.FAILED and not status.current.discarded:
            row = await self._row(status)
            blocks = row is not None and row.wait.state is WaitingState.BLOCKING
            return _OPERATOR if blocks else None
        if status.state not in _BEGUN_AND_NOT_RUNNING:
            return None
        row = await self._row(status)
        hold = await self._hold(status, None if row is None else row.wait.hold)
        if hold is not None:
            return f"the release of {hold.kind} {hold.value}, held by {hold.by}: {hold.why}"
        return None if row is None else _told(row)

    async def _row(self, status: JobStatus) -> Waiting | None:
        row = await self._rows.row(status.job_id)
        return row if row is not None and row.wait.generation == status.generation else None

    async def _hold(self, status: JobStatus, kept_by: int | None) -> Hold | None:
        """A hold of its; one for a release only where it keeps the job's row."""
        names = names_of(status.type, status.entity, status.tenant, status.current.lane)
        opened = await self._holds.open()
        found = by_name(one for one in opened if not one.release or one.id == kept_by)
        return next((found[name] for name in names if name in found), None)


def _told(row: Waiting) -> str | None:
    match row.wait.state:
        case WaitingState.HELD:
            return _HANDLER if row.wait.hold is None else None
        case WaitingState.QUEUED:
            return _ENTITY
        case _:
            return None
