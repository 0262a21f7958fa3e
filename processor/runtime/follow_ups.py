"""What does a handler's own submission become?

A follow-up is part of the outcome: it exists if and only if the job's transaction committed. Its id
is made of (parent, generation, index), so that a further run of the parent makes the same ones; a
dedupe key goes before that. Tenant, caller and trace are the parent's where it names none itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from processor.domain.errors import Reject
from processor.domain.ids import follow_up_of
from processor.domain.limits import FOLLOW_UP_BYTES, FOLLOW_UPS
from processor.domain.submission import NOBODY
from processor.runtime.submission import Unfit, payload_of, record_of

if TYPE_CHECKING:
    from processor.domain.events import Started
    from processor.domain.ids import JobId
    from processor.domain.submission import SubmissionRecord
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.runtime.submission import Submission


class FollowUps:
    """The submissions of one run, encoded."""

    __slots__ = ("_clock", "_codec", "_parent", "_refused", "_started", "encoded", "size")

    def __init__(
        self, codec: Codec, clock: Clock, parent: SubmissionRecord, started: Started
    ) -> None:
        self._codec = codec
        self._clock = clock
        self._parent = parent
        self._started = started
        self._refused: str | None = None
        self.encoded: list[bytes] = []
        self.size = 0

    def add(self, submission: Submission) -> JobId:
        """Take one; raises `Reject` where it does not fit or there are too many."""
        if len(self.encoded) >= FOLLOW_UPS:
            self._refused = (
                f"more than {FOLLOW_UPS:,} follow-ups: submit a job that submits the rest"
            )
        self.assert_whole()
        try:
            record = self._record(submission, payload_of(submission))
        except Unfit as unfit:
            message = f"a follow-up cannot be sent: {unfit}"
            raise Reject(message) from None
        value = self._codec.encode_submission(record)
        if self.size + len(value) > FOLLOW_UP_BYTES:
            self._refused = f"the follow-ups have more than {FOLLOW_UP_BYTES:,} bytes together"
            self.assert_whole()
        self.encoded.append(value)
        self.size += len(value)
        return record.job

    def assert_whole(self) -> None:
        """Raise `Reject` where one was refused for want of room, whatever became of that error.

        Of a handler that swallows it some follow-ups would be missing without a word.
        """
        if self._refused is not None:
            raise Reject(self._refused)

    def _record(self, submission: Submission, payload: bytes) -> SubmissionRecord:
        parent = self._parent
        record = record_of(
            submission,
            payload,
            priority=parent.priority,
            submitted_at=self._clock.now(),
            batch=parent.batch,
            trace=self._started.trace or parent.trace,
        )
        job, entity = record.job, record.entity
        if submission.dedupe_key is None:
            job = follow_up_of(parent.job, parent.generation, len(self.encoded))
            entity = str(job) if submission.entity is None else entity
        return replace(
            record,
            job=job,
            entity=entity,
            parent=parent.job,
            tenant=parent.tenant if record.tenant is None else record.tenant,
            caller=parent.caller if record.caller == NOBODY else record.caller,
        )
