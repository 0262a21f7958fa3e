"""What does a client still know of what it submitted?"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.events import Queued
from processor.domain.status import status_of

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.status import JobStatus
    from processor.domain.submission import SubmissionRecord, Trace
    from processor.ports.log import Place

KEPT: Final = 10_000
"""Of more than these the oldest are forgotten: their status is asked like anybody else's."""


class Acknowledgement(NamedTuple):
    """Where a submission stands in its lane, on the broker's word; without its payload."""

    place: Place
    offset: int
    at: int
    generation: int
    lane: Priority
    type: str
    entity: str
    tenant: str | None
    batch: UUID | None
    not_before: int | None
    trace: Trace | None

    def status(self, job: JobId) -> JobStatus | None:
        """What is known without the history: the job was queued then."""
        queued = Queued(
            self.at,
            self.generation,
            self.lane,
            self.place.partition,
            self.offset,
            self.type,
            self.entity,
            self.tenant,
            self.batch,
            self.not_before,
            self.trace,
        )
        known = status_of(job, [queued], [])
        return None if known is None else replace(known, as_of=self.at)


class Acknowledged:
    """The acknowledged places of the last submissions, by job: `kept` of them, or a few more."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        # By number, not by id: an id is hashed in Python, and this is done for every submission.
        self._by_job: dict[int, Acknowledgement] = {}

    def keep(self, record: SubmissionRecord, place: Place, offset: int, at: int) -> None:
        """Remember one, in the place of an older one of the same job."""
        job = record.job.int
        self._by_job.pop(job, None)
        self._by_job[job] = Acknowledgement(
            place,
            offset,
            at,
            record.generation,
            record.priority,
            record.type,
            record.entity,
            record.tenant,
            record.batch,
            record.not_before,
            record.trace,
        )

    def forget(self) -> None:
        """Let the oldest go, once there are a half too many."""
        if len(self._by_job) > self._kept + self._kept // 2:
            newest = islice(self._by_job.items(), len(self._by_job) - self._kept, None)
            self._by_job = dict(newest)

    def find(self, job: JobId) -> Acknowledgement | None:
        """The newest acknowledgement of a job, while it is remembered."""
        return self._by_job.get(job.int)
