"""How do a job's events become `{kind, body}`, and back?

A body is itself single-object encoded by the schema of its kind, so that a reader passes on an
event of a kind it does not know, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from processor.adapters.avro.fields import error_fields, error_of, moment, trace_fields, trace_of
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Durable,
    Failed,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from processor.adapters.avro.single_object import SingleObject


def kind_of(event: Durable) -> str:
    """The word for the event in a record: the name of its body's schema."""
    return event.kind if isinstance(event, Unknown) else type(event).__name__


def time_of(event: Durable) -> int | None:
    """When the event happened; None where this release cannot read it."""
    return None if isinstance(event, Unknown) else event.at


def encode_event(form: SingleObject, event: Durable) -> dict[str, str | bytes]:
    """An event's kind and body."""
    if isinstance(event, Unknown):
        return {"kind": event.kind, "body": event.body}
    kind = type(event).__name__
    return {"kind": kind, "body": form.write(kind, _fields(event))}


def decode_event(form: SingleObject, kind: str, body: bytes) -> Durable:
    """The event; raises `Undecodable`, or `ValueError` where a field is no value of ours.

    A known kind in a version that is not known raises `UnknownSchema`: passed over, it would leave
    the job in a state that it has left.
    """
    build = _BUILDERS.get(kind)
    if build is None:
        return Unknown(kind, body)
    return build(form.read(kind, body))


def _fields(
    event: Started | Retrying | Completed | Failed | Cancelled | Discarded,
) -> dict[str, Any]:
    match event:
        case Started():
            return {
                "at": event.at,
                "attempt": event.attempt,
                "run": event.run,
                "partition": event.partition,
                "lane": int(event.lane),
                "worker": event.worker,
                "release": event.release,
                "trace": trace_fields(event.trace),
            }
        case Retrying(at, attempt, error, due_at):
            return {"at": at, "attempt": attempt, "due_at": due_at, "error": error_fields(error)}
        case Completed(at, result):
            return {"at": at, "result": result}
        case Failed(at, attempt, reason, error):
            return {
                "at": at,
                "attempt": attempt,
                "reason": reason.value,
                "error": error_fields(error),
            }
        case Cancelled(at, actor, because) | Discarded(at, actor, because):
            return {"at": at, "actor": actor, "because": because}
        case _:
            assert_never(event)


def _started(fields: dict[str, Any]) -> Started:
    return Started(
        moment(fields["at"]),
        fields["attempt"],
        fields["run"],
        fields["worker"],
        fields["release"],
        fields["partition"],
        Priority(fields["lane"]),
        trace_of(fields["trace"]),
    )


def _retrying(fields: dict[str, Any]) -> Retrying:
    error = error_of(fields["error"])
    return Retrying(moment(fields["at"]), fields["attempt"], error, moment(fields["due_at"]))


def _completed(fields: dict[str, Any]) -> Completed:
    return Completed(moment(fields["at"]), fields["result"])


def _failed(fields: dict[str, Any]) -> Failed:
    error = error_of(fields["error"])
    return Failed(moment(fields["at"]), fields["attempt"], Reason(fields["reason"]), error)


def _cancelled(fields: dict[str, Any]) -> Cancelled:
    return Cancelled(moment(fields["at"]), fields["actor"], fields["because"])


def _discarded(fields: dict[str, Any]) -> Discarded:
    return Discarded(moment(fields["at"]), fields["actor"], fields["because"])


_BUILDERS: Final[Mapping[str, Callable[[dict[str, Any]], Durable]]] = {
    "Started": _started,
    "Retrying": _retrying,
    "Completed": _completed,
    "Failed": _failed,
    "Cancelled": _cancelled,
    "Discarded": _discarded,
}
