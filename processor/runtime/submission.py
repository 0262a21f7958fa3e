"""What does a producer hand in, and when does it fit?

Everything is checked here, before anything is sent. The payload is not looked at beyond being JSON
within the limits: what it means is the handler's business.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from processor.domain.drafts import submission as made
from processor.domain.ids import JobId, job_of_dedupe_key, uuid7
from processor.domain.instants import microseconds
from processor.domain.limits import (
    JSON_DEPTH,
    LAST_MOMENT,
    NAME_BYTES,
    PAYLOAD_BYTES,
    TEXT_BYTES,
)
from processor.domain.priority import Priority
from processor.domain.submission import NOBODY, Caller, Trace
from processor.runtime.json_text import NotJson, constant_in, deeper_than, json_text

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.submission import SubmissionRecord

_ATTEMPTS_AT_MOST: Final = 1_000


class Unfit(ValueError):  # noqa: N818 - a sentence that becomes a SubmitError's
    """A submission cannot be sent; says what is wrong with it, not which one it is."""

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


def new_id() -> JobId:
    """A new job's id, or a batch's: ordered by time."""
    # The system's randomness: a program's own seed, or a fork, must not make two ids the same.
    return JobId(uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)) >> 6))


@dataclass(frozen=True, slots=True)
class Submission:
    """What a producer hands in; its id is made with it, so submitting it again is harmless.

    `payload` is anything that JSON can say, a pydantic model or a dataclass. Without an `entity`
    the job waits for no other. A `dedupe_key` makes the id: the same key of the same tenant, type
    and entity is the same job. `priority` goes before the batch's. `not_before` needs a time zone.
    `attempts` goes before the handler's own policy. What is wrong is said when it is submitted.
    """

    type: str
    payload: Any = None
    entity: str | None = None
    priority: Priority | None = None
    dedupe_key: str | None = None
    not_before: datetime | None = None
    attempts: int | None = None
    tenant: str | None = None
    caller: Caller = NOBODY
    trace: Trace | None = None
    """The trace it belongs to; the active one of OpenTelemetry where none is given."""
    id: JobId = field(default_factory=new_id)
    """Given only to submit again what another process made; a dedupe key goes before it."""

    def __post_init__(self) -> None:
        if self.dedupe_key is None:
            return
        # Where a name is no Unicode the id stays as it was: the check refuses to send it.
        with suppress(UnicodeEncodeError):
            job = job_of_dedupe_key(self.tenant, self.type, self.entity, self.dedupe_key)
            object.__setattr__(self, "id", job)


def payload_of(submission: Submission) -> bytes:
    """The payload as JSON, after checking everything; raises `Unfit`."""
    _check_names(submission)
    if (
        submission.not_before is not None
        or submission.attempts is not None
        or submission.priority is not None
    ):
        _check_policy(submission)
    return _serialised(submission.payload)


def record_of(
    submission: Submission,
    payload: bytes,
    *,
    priority: Priority,
    submitted_at: int,
    batch: UUID | None = None,
    trace: Trace | None = None,
) -> SubmissionRecord:
    """The record of a checked submission; `priority` and `trace` count where it has none itself."""
    not_before = submission.not_before
    return made(
        submission.id,
        submission.type,
        payload,
        str(submission.id) if submission.entity is None else submission.entity,
        priority if submission.priority is None else submission.priority,
        submitted_at,
        1,
        submission.tenant,
        submission.dedupe_key,
        batch,
        None if not_before is None else microseconds(not_before),
        submission.attempts,
        submission.caller,
        trace if submission.trace is None else submission.trace,
        None,
        None,
    )


def _check_names(submission: Submission) -> None:
    _check_name("type", submission.type)
    if submission.entity is not None:
        _check_name("entity", submission.entity)
    if submission.dedupe_key is not None:
        _check_name("dedupe_key", submission.dedupe_key)
    if submission.tenant is not None:
        _check_name("tenant", submission.tenant)
    if submission.caller is not NOBODY:
        _check_caller(submission.caller)
    if submission.trace is not None:
        _check_trace(submission.trace)


def _check_name(name: str, value: object, limit: int = NAME_BYTES) -> None:
    if not isinstance(value, str):
        raise Unfit(f"its {name} must be text, not {type(value).__name__}")
    if not value:
        raise Unfit(f"its {name} is empty")
    if "\0" in value:
        raise Unfit(f"its {name} has a NUL character in it")
    if value.isascii():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise Unfit(f"its {name} is not valid Unicode") from None
    if size > limit:
        raise Unfit(f"its {name} has {size:,} bytes, the limit is {limit}", too_large=True)


def _check_caller(caller: Caller) -> None:
    if not isinstance(caller, Caller):
        raise Unfit(f"its caller must be a Caller, not {type(caller).__name__}")
    for name in ("user", "session", "request_id", "ip"):
        value = getattr(caller, name)
        if value is not None:
            _check_name(f"caller's {name}", value)
    if caller.user_agent is not None:
        _check_name("caller's user_agent", caller.user_agent, TEXT_BYTES)


def _check_trace(trace: Trace) -> None:
    if not isinstance(trace, Trace):
        raise Unfit("its trace is no Trace")
    _check_name("trace's traceparent", trace.traceparent)
    if trace.tracestate != "":
        _check_name("trace's tracestate", trace.tracestate, TEXT_BYTES)


def _check_policy(submission: Submission) -> None:
    priority, attempts = submission.priority, submission.attempts
    if priority is not None and not isinstance(priority, Priority):
        raise Unfit(f"its priority must be a Priority, not {priority!r}")
    if attempts is not None and (
        type(attempts) is not int or not 1 <= attempts <= _ATTEMPTS_AT_MOST
    ):
        raise Unfit(f"its attempts must be from 1 to {_ATTEMPTS_AT_MOST:,}, not {attempts!r}")
    when = submission.not_before
    if when is None:
        return
    if not isinstance(when, datetime):
        raise Unfit(f"its not_before must be a datetime, not {type(when).__name__}")
    if when.tzinfo is None or when.utcoffset() is None:
        raise Unfit("its not_before has no time zone; give it one, for instance datetime.UTC")
    if not 0 <= microseconds(when) <= LAST_MOMENT:
        raise Unfit("its not_before is no time from 1970 to 9999, in UTC")


def _serialised(payload: object) -> bytes:
    try:
        raw = json_text(payload)
    except NotJson as wrong:
        raise Unfit(f"its payload is no JSON: {wrong}") from None
    if len(raw) > PAYLOAD_BYTES:
        raise Unfit(
            f"its payload has {len(raw):,} bytes, the limit is {PAYLOAD_BYTES:,}", too_large=True
        )
    if constant_in(raw):
        raise Unfit("its payload is no JSON: it has NaN or Infinity in it")
    if deeper_than(JSON_DEPTH, raw):
        raise Unfit(f"its payload is nested deeper than {JSON_DEPTH} levels", too_large=True)
    return raw
