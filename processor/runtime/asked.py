"""What is known of a job, its entity, its partition, when somebody asks why it does not run?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.explanation import Explanation

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.events import Retrying
    from processor.domain.explanation import Cause, Detail
    from processor.domain.status import JobStatus
    from processor.ports.situations import LiveWorker, Seat, Situation
    from processor.ports.waiting_room import Waiting

_LONGEST: Final = 200
"""Characters of an error within a sentence."""
SILENT: Final = 5.0
"""Seconds without a beat after which a worker is said to show no sign of life."""


class Asked(NamedTuple):
    """A job, and everything that is known when its explanation is asked for."""

    status: JobStatus
    seat: Seat
    found: Situation
    grace: float
    """Seconds that a job waits for a handler."""
    look_ahead: int
    """Records of a lane that a worker has read at most, without having settled them."""
    error_of: Callable[[Waiting], Retrying | None]
    """The failed attempt that a waiting row tells of."""

    def told(self, cause: Cause, sentence: str, **details: Detail) -> Explanation:
        """The explanation."""
        return Explanation(self.status.job_id, cause, sentence, details)

    @property
    def row(self) -> Waiting | None:
        """How the generation that counts waits."""
        row = self.found.row
        return row if row is not None and row.wait.generation >= self.status.generation else None

    def alive(self) -> list[LiveWorker]:
        """Workers that beat."""
        return [one for one in self.found.workers if one.silent < SILENT]

    def owner(self) -> LiveWorker | None:
        """Who owns the job's partition, as long as he has a row."""
        owner = self.found.owner
        if owner is None or owner.released:
            return None
        return next((one for one in self.found.workers if one.id == owner.worker), None)

    def reason(self, row: Waiting) -> str:
        """Why the last attempt of a job that waits failed, in brackets; empty where none did."""
        failed = self.error_of(row)
        if failed is None:
            return ""
        return f" ({failed.error.reason}: {failed.error.message[:_LONGEST]})"
