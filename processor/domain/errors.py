"""Which errors can a user meet?

ProcessorError
├─ SubmitError            to a producer: which ids are not known to be appended
│  ├─ SubmissionTooLarge  before anything was sent
│  └─ InvalidSubmission   before anything was sent
├─ JobError               ends an attempt; each maps to one Reason
│  ├─ TryAgain, Reject    raised by handlers
│  └─ ParseError, HandlerMissing, AttemptTimeout, WorkerLost, ResultInvalid,
│     TransactionMisused: by us
├─ IllegalTransition      decide() refused: a bug or a duplicate, never swallowed
├─ JobNotFound, DeadLetterNotFound, AlreadyFinished, JobNotComplete
├─ PlanNotFound, PlanRefused
├─ Unavailable            the broker or the database does not answer
└─ ConfigurationError     before anything starts
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID


class ProcessorError(Exception):
    """The job processor could not do what was asked."""


class SubmitError(ProcessorError):
    """Some submissions are not known to be appended; submitting the same objects again is harmless.

    `unknown` maps each such job id to what went wrong; every other id of the call is appended.
    """

    def __init__(self, message: str, unknown: Mapping[UUID, str]) -> None:
        super().__init__(message)
        self.unknown = dict(unknown)


class SubmissionTooLarge(SubmitError):  # noqa: N818 - the design's name
    """A submission is over a limit; nothing of the call was sent."""


class InvalidSubmission(SubmitError):  # noqa: N818 - the design's name
    """A submission cannot be sent as it is; nothing of the call was sent."""


class JobError(ProcessorError):
    """An attempt ended without success."""


class TryAgain(JobError):  # noqa: N818 - raised by handlers as a sentence
    """The handler asks to be run again after a while."""

    def __init__(self, after: timedelta | float, because: str = "") -> None:
        super().__init__(because or "the handler asked to be run again")
        self.after = after


class Reject(JobError):  # noqa: N818 - raised by handlers as a sentence
    """The handler says that this job can never succeed."""


class ParseError(JobError):
    """The payload does not fit the handler's model."""

    def __init__(self, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class HandlerMissing(JobError):  # noqa: N818 - the design's name
    """No handler is registered for the job's type."""


class AttemptTimeout(JobError):  # noqa: N818 - the design's name
    """The attempt ran longer than its handler's time-out."""


class WorkerLost(JobError):  # noqa: N818 - the design's name
    """The job's worker died three times with this job as the only suspect."""


class ResultInvalid(JobError):  # noqa: N818 - reads as a sentence
    """The handler returned what cannot be stored: not JSON, or over the limit."""


class TransactionMisused(JobError):  # noqa: N818 - reads as a sentence
    """The handler ended or left the transaction that belongs to its job."""


class IllegalTransition(ProcessorError):  # noqa: N818 - the design's name
    """The job's state does not allow this."""


class JobNotFound(ProcessorError):  # noqa: N818 - the design's name
    """No job has this id."""


class DeadLetterNotFound(ProcessorError):  # noqa: N818 - the design's name
    """No dead letter has this id."""


class PlanNotFound(ProcessorError):  # noqa: N818 - reads as a sentence
    """No plan has this number."""


class PlanRefused(ProcessorError):  # noqa: N818 - reads as a sentence
    """A plan was not made: it would not be what was meant. `found` letters are chosen."""

    def __init__(self, message: str, found: int) -> None:
        super().__init__(message)
        self.found = found


class AlreadyFinished(ProcessorError):  # noqa: N818 - the design's name
    """The job has ended already."""


class JobNotComplete(ProcessorError):  # noqa: N818 - the design's name
    """The job has not completed: it is still on its way, failed, or was cancelled."""


class Unavailable(ProcessorError):  # noqa: N818 - reads as a sentence
    """The broker or the database does not answer."""


class ConfigurationError(ProcessorError):
    """The settings, the topics or the database do not fit; nothing was started."""
