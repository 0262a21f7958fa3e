"""What does one line of a JSONL file say?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from processor.cli.telling import plain
from processor.domain.errors import InvalidSubmission
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.submission import Caller, Trace
from processor.runtime.submission import Submission, Unfit, payload_of

if TYPE_CHECKING:
    from processor.cli.lines import Line

NAMED: Final = 60
"""Letters of a key that an error names."""
SAID: Final = 240
"""Letters of what is wrong with a value, which may repeat it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CallerFields(_Strict):
    """Who asked."""

    user: str | None = None
    session: str | None = None
    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


class TraceFields(_Strict):
    """A W3C trace context."""

    traceparent: str
    tracestate: str = ""


class LineFields(_Strict):
    """A submission's fields, as JSON has them."""

    type: str | None = None
    payload: Any = None
    entity: str | None = None
    priority: Annotated[str, AfterValidator(Priority.parse)] | None = None
    dedupe_key: str | None = None
    not_before: AwareDatetime | None = None
    attempts: int | None = None
    tenant: str | None = None
    caller: CallerFields | None = None
    trace: TraceFields | None = None
    id: UUID | None = None


def submission_of(line: Line, type_: str | None, batch: UUID) -> Submission:
    """The line's submission, checked; raises `InvalidSubmission` that names the line.

    A line with neither id nor dedupe key gets a key of its batch and number, so that the same file
    under the same batch can be submitted again without harm.
    """
    try:
        fields = LineFields.model_validate_json(line.text)
    except ValidationError as error:
        raise _broken(line, _sentence(error)) from None
    if (fields.type or type_) is None:
        raise _broken(line, "it has no type, and no --type was given")
    submission = _made(fields, fields.type or type_ or "", f"{batch}:{line.number}")
    try:
        payload_of(submission)
    except Unfit as unfit:
        raise _broken(line, str(unfit)) from None
    return submission


def _made(fields: LineFields, type_: str, key: str) -> Submission:
    values: dict[str, Any] = {
        "entity": fields.entity,
        "priority": fields.priority,
        "not_before": fields.not_before,
        "attempts": fields.attempts,
        "tenant": fields.tenant,
        "dedupe_key": fields.dedupe_key,
    }
    if fields.caller is not None:
        values["caller"] = Caller(**fields.caller.model_dump())
    if fields.trace is not None:
        values["trace"] = Trace(**fields.trace.model_dump())
    if fields.dedupe_key is None:
        if fields.id is None:
            values["dedupe_key"] = key
        else:
            values["id"] = JobId(fields.id)
    return Submission(type_, fields.payload, **values)


def _broken(line: Line, why: str) -> InvalidSubmission:
    return InvalidSubmission(f"line {line.number} is broken: {why}", {})


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(_shown(str(part)) for part in first["loc"])
    said = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
    said = _shown(said.removeprefix("Value error, "), SAID)
    return f"{path}: {said}" if path else said


def _shown(text: str, most: int = NAMED) -> str:
    """What a file holds, as an error shows it: it can neither break the line nor fill a screen."""
    return plain(text if len(text) <= most else f"{text[:most]}…")
