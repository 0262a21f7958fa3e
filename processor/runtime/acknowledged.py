"""What does a client still know of what it submitted?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.events import Queued
from processor.domain.status import status_of

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.domain.submission import SubmissionRecord
    from processor.ports.log import Place

KEPT: Final = 10_000
"""Of more than these the oldest are forgotten: their status is asked like anybody else's."""


class Acknowledgement(NamedTuple):
    """Where a submission stands in its lane, on the broker's word."""

    place: Place
    offset: int
    at: int
    queued: Queued

    def status(self, job: JobId) -> JobStatus | None:
        """What is known without the history: the job was queued then."""
        known = status_of(job, [self.queued], [])
        return None if known is None else replace(known, as_of=self.at)


class Acknowledged:
    """The acknowledged places of the last submissions, by job."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._by_job: OrderedDict[JobId, Acknowledgement] = OrderedDict()

    def keep(self, record: SubmissionRecord, place: Place, offset: int, at: int) -> None:
        """Remember one, in the place of an older one of the same job."""
        queued = Queued(
            at,
            record.generation,
            record.priority,
            place.partition,
            offset,
            record.type,
            record.entity,
            record.tenant,
            record.batch,
            record.not_before,
            record.trace,
        )
        self._by_job.pop(record.job, None)
        self._by_job[record.job] = Acknowledgement(place, offset, at, queued)
        if len(self._by_job) > self._kept:
            self._by_job.popitem(last=False)

    def find(self, job: JobId) -> Acknowledgement | None:
        """The newest acknowledgement of a job, while it is remembered."""
        return self._by_job.get(job)
