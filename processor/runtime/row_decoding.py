"""How does a row of the waiting room become a job again?

What a later release wrote is waited for, and said once: it is left where it is, and so is what
stands behind it. A submission that is corrupt makes a job that ends so. Where only what is known of
its past is corrupt the job goes on by the row's counts; the events that nobody can read keep their
numbers, so that no later event takes the id of one that was published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.events import ErrorDetail, Reason, Unknown
from processor.domain.outcome import Outcome
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.waiting_room import WaitingState
from processor.runtime.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Collection

    from processor.domain.ids import JobId
    from processor.ports.codec import Codec
    from processor.ports.waiting_room import Wait, Waiting
    from processor.runtime.partition import OwnedPartition

UNREADABLE: Final = 10_000
"""Rows of later releases that are remembered, and passed by when what is due is asked for."""
LOST: Final = Unknown("Unreadable", b"")
EVENTS_OF_A_RUN: Final = 2
"""That it started, and that another is to follow: what a waiting outcome holds of each run."""

log = structlog.get_logger(__name__)


class RowDecoder:
    """Reads rows, and remembers those that it cannot."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._unreadable: dict[JobId, int] = {}

    def unreadable(self, partitions: Collection[int]) -> list[JobId]:
        """The jobs of these partitions that were met and wait for a later release."""
        return [job for job, number in self._unreadable.items() if number in partitions]

    def met(self, job: JobId) -> bool:
        """Whether a row of this job was met that waits for a later release."""
        return job in self._unreadable

    def take(self, partition: int) -> None:
        """A partition was taken over: what was known of its rows may have changed."""
        for job in self.unreadable([partition]):
            del self._unreadable[job]

    def decode(self, row: Waiting, partition: OwnedPartition) -> Delivery | None:
        """The job of a row; None where a later release wrote it."""
        try:
            return self._decode(row, partition)
        except UnknownSchema as unknown:
            self._remember(row, unknown)
            return None

    def _decode(self, row: Waiting, partition: OwnedPartition) -> Delivery:
        wait = row.wait
        corrupt = None
        try:
            record = self._codec.decode_submission(wait.submission)
        except Undecodable as error:
            if isinstance(error, UnknownSchema):
                raise
            corrupt = ErrorDetail(Reason.UNDECODABLE, "Undecodable", str(error))
            record = SubmissionRecord(wait.job, "", b"null", str(wait.job), wait.lane, 0)
        delivery = Delivery(
            record, wait.submission, partition, wait.lane, wait.place, wait.entity_key
        )
        delivery.revision = row.revision
        delivery.corrupt = corrupt
        delivery.attempt, delivery.runs, delivery.faults = wait.attempt, wait.runs, wait.faults
        if wait.state is WaitingState.HELD and wait.hold is None:
            delivery.unhandled_since = row.since
        if wait.body is not None and wait.state is not WaitingState.BLOCKING:
            self._remind(delivery, wait, wait.body)
        return delivery

    def _remind(self, delivery: Delivery, wait: Wait, body: bytes) -> None:
        """Tell a delivery of its past."""
        delivery.body = body
        try:
            outcome = self._codec.decode_journal(body)
        except Undecodable as error:
            if isinstance(error, UnknownSchema):
                raise
            log.warning(
                "what has happened to a waiting job cannot be read; it goes on by its counts",
                job=str(wait.job),
                runs=wait.runs,
                because=str(error),
            )
            delivery.events = (LOST,) * (EVENTS_OF_A_RUN * wait.runs)
        else:
            assert isinstance(outcome, Outcome)  # noqa: S101 - what a row holds
            delivery.events = outcome.events

    def _remember(self, row: Waiting, unknown: UnknownSchema) -> None:
        job = row.wait.job
        if job in self._unreadable or len(self._unreadable) > UNREADABLE:
            return
        if len(self._unreadable) == UNREADABLE:
            log.error("more jobs wait for a later release than are passed by: the others wait too")
        else:
            log.error(
                "a waiting job waits for a release that knows its schema: deploy readers first",
                job=str(job),
                because=str(unknown),
            )
        self._unreadable[job] = row.partition
