"""How do the parts that several records share become Avro fields, and back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.adapters.avro.identities import uuid_of
from processor.domain.events import ErrorDetail, Reason
from processor.domain.limits import LAST_MOMENT
from processor.domain.submission import NOBODY, Caller, Trace

if TYPE_CHECKING:
    from uuid import UUID


def moment(microseconds: int) -> int:
    """The time, if it is one; raises `ValueError`."""
    if not 0 <= microseconds <= LAST_MOMENT:
        raise ValueError(f"{microseconds} is no time")
    return microseconds


def optional_moment(microseconds: int | None) -> int | None:
    """The time, if it is one or none; raises `ValueError`."""
    return None if microseconds is None else moment(microseconds)


def optional_id(raw: bytes | None) -> UUID | None:
    """The id of sixteen bytes, or None."""
    return None if raw is None else uuid_of(raw)


def optional_bytes(identity: UUID | None) -> bytes | None:
    """The sixteen bytes of an id, or None."""
    return None if identity is None else identity.bytes


def trace_fields(trace: Trace | None) -> dict[str, str] | None:
    """A trace's fields."""
    if trace is None:
        return None
    return {"traceparent": trace.traceparent, "tracestate": trace.tracestate}


def trace_of(fields: dict[str, str] | None) -> Trace | None:
    """The trace of its fields."""
    return None if fields is None else Trace(fields["traceparent"], fields["tracestate"])


def caller_fields(caller: Caller | None) -> dict[str, str | None] | None:
    """A caller's fields; one of whom nothing is known becomes a single byte."""
    if caller is None or caller == NOBODY:
        return None
    return {
        "user": caller.user,
        "session": caller.session,
        "request_id": caller.request_id,
        "ip": caller.ip,
        "user_agent": caller.user_agent,
    }


def caller_of(fields: dict[str, str | None]) -> Caller:
    """The caller of its fields."""
    return Caller(
        fields["user"],
        fields["session"],
        fields["request_id"],
        fields["ip"],
        fields["user_agent"],
    )


def error_fields(error: ErrorDetail) -> dict[str, Any]:
    """An error's fields; what an exception says may hold what is no UTF-8, and is then escaped."""
    return {
        "reason": error.reason.value,
        "type": _encodable(error.type),
        "message": _encodable(error.message),
        "place": _encodable(error.place),
        "fields": [_encodable(field) for field in error.fields],
        "traceback": _encodable(error.traceback),
    }


def error_of(fields: dict[str, Any]) -> ErrorDetail:
    """The error of its fields; raises `ValueError` for a reason that is none."""
    return ErrorDetail(
        Reason(fields["reason"]),
        fields["type"],
        fields["message"],
        fields["place"],
        tuple(fields["fields"]),
        fields["traceback"],
    )


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
