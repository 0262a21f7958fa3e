"""What does the history say of a job, and how far has it read?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.log import Place


class History(Protocol):
    """The read side, as clients ask it; injected, since the write side never imports it."""

    async def status(self, job: JobId) -> JobStatus | None:
        """The fold of what has been projected of a job; None where nothing has."""
        ...

    async def seen(self, place: Place) -> int:
        """The next offset of a lane's or the journal's partition that is not projected yet."""
        ...
