"""Jobs on Apache Kafka and PostgreSQL: one at a time per entity, in order, exactly once.

Every public name stands here and is imported when it is first used, so that a producer does not
wait for what only a worker needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from processor.bootstrap.producing import Client
    from processor.bootstrap.working import Worker
    from processor.domain.breaker import Breaker, BreakerChanged
    from processor.domain.dead_letter import JobFailed
    from processor.domain.errors import (
        AlreadyFinished,
        ConfigurationError,
        DeadLetterNotFound,
        InvalidSubmission,
        JobError,
        JobNotComplete,
        JobNotFound,
        ParseError,
        PlanNotFound,
        PlanRefused,
        ProcessorError,
        Reject,
        SubmissionTooLarge,
        SubmitError,
        TransactionMisused,
        TryAgain,
        Unavailable,
    )
    from processor.domain.ids import JobId
    from processor.domain.job import State
    from processor.domain.priority import Priority
    from processor.domain.retry import Retry
    from processor.domain.status import JobStatus
    from processor.domain.submission import Caller, Trace
    from processor.runtime.handlers import Jobs
    from processor.runtime.request import Request
    from processor.runtime.submission import Submission
    from processor.settings import Settings

__all__ = [
    "AlreadyFinished",
    "Breaker",
    "BreakerChanged",
    "Caller",
    "Client",
    "ConfigurationError",
    "DeadLetterNotFound",
    "InvalidSubmission",
    "JobError",
    "JobFailed",
    "JobId",
    "JobNotComplete",
    "JobNotFound",
    "JobStatus",
    "Jobs",
    "ParseError",
    "PlanNotFound",
    "PlanRefused",
    "Priority",
    "ProcessorError",
    "Reject",
    "Request",
    "Retry",
    "Settings",
    "State",
    "Submission",
    "SubmissionTooLarge",
    "SubmitError",
    "Trace",
    "TransactionMisused",
    "TryAgain",
    "Unavailable",
    "Worker",
]

_ERRORS: Final = "processor.domain.errors"
_PLACES: Final = {
    "Breaker": "processor.domain.breaker",
    "BreakerChanged": "processor.domain.breaker",
    "Caller": "processor.domain.submission",
    "Client": "processor.bootstrap.producing",
    "JobFailed": "processor.domain.dead_letter",
    "JobId": "processor.domain.ids",
    "JobStatus": "processor.domain.status",
    "Jobs": "processor.runtime.handlers",
    "Priority": "processor.domain.priority",
    "Request": "processor.runtime.request",
    "Retry": "processor.domain.retry",
    "Settings": "processor.settings",
    "State": "processor.domain.job",
    "Submission": "processor.runtime.submission",
    "Trace": "processor.domain.submission",
    "Worker": "processor.bootstrap.working",
}
"""Where each name lives that is no error."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_PLACES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
