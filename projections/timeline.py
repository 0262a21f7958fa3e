"""How is a job's status told to a person, and to a program?"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, assert_never
from uuid import UUID

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Failed,
    Progressed,
    Queued,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.instants import date_of
from processor.domain.job import State
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from processor.domain.changes import Change
    from processor.domain.events import ErrorDetail, Event
    from processor.domain.status import JobStatus, Transition

WORD: Final = 10
"""Columns that the longest word of a line takes."""
NO_TIME: Final = " " * len("2013-01-01 00:00:00.000000Z")
TIMES: Final = frozenset(
    {"at", "due_at", "not_before", "started_at", "ended_at", "submitted_at", "as_of"}
)
LONGEST: Final = 300
"""Characters of a result or a message in one line."""


def describe(status: JobStatus) -> list[str]:
    """A readable timeline: what the job is, then a line for each transition."""
    return [_headline(status), _facts(status), *(_line(one) for one in status.history)]


def as_json(status: JobStatus) -> dict[str, Any]:
    """Everything known, as JSON has it: times in ISO 8601 (UTC), the result parsed.

    Without a result there is no `result`: a handler that returned nothing has null.
    """
    current = _plain(status.current)
    current["lane"] = status.current.lane.label
    if status.result is None:
        del current["result"]
    current["attempts"], current["runs"] = current.pop("attempt"), current.pop("run")
    return {
        "id": str(status.job_id),
        "type": status.type,
        "entity": status.entity,
        "tenant": status.tenant,
        "batch": _plain(status.batch),
        **current,
        "waits_for": status.waits_for,
        "as_of": _iso(status.as_of),
        "history": [_transition(one) for one in status.history],
    }


def _headline(status: JobStatus) -> str:
    job = status.current
    said = {
        State.SCHEDULED: f", not before {_clock(job.not_before)}",
        State.PROCESSING: f", attempt {job.attempt} on {job.worker}",
        State.RETRYING: f", again at {_clock(job.due_at)}",
        State.FAILED: f": {job.reason}" if job.reason else "",
    }.get(job.state, "")
    if job.discarded:
        said += ", discarded"
    if status.waits_for is not None:
        said += f", waits for {status.waits_for}"
    if status.as_of is not None:
        said += f", as acknowledged at {_clock(status.as_of)}"
    return f"{status.job_id} {status.type or '(type not known yet)'} is {job.state}{said}"


def _facts(status: JobStatus) -> str:
    known = {
        "entity": status.entity,
        "tenant": status.tenant,
        "batch": status.batch,
        "lane": status.current.lane.label,
        "generation": status.generation,
        "trace": status.trace.traceparent if status.trace else None,
    }
    return ", ".join(f"{word} {value}" for word, value in known.items() if value)


def _line(one: Transition) -> str:
    at = NO_TIME if one.inferred or isinstance(one.event, Unknown) else _clock(one.event.at)
    marks = " (void: a failover or an earlier end undid it)" if one.void else ""
    marks += " (told by its outcome: the lane is not read that far yet)" if one.inferred else ""
    return f"{at}  {_word(one.event):<{WORD}} {_said(one.event)}{marks}".rstrip()


def _word(event: Event) -> str:
    if isinstance(event, Unknown):
        return event.kind
    return "complete" if isinstance(event, Completed) else type(event).__name__.lower()


def _said(event: Event) -> str:  # noqa: C901, PLR0911 - one case an event
    match event:
        case Queued():
            return _queued(event)
        case Started(_, attempt, run, worker, release):
            again = f" (run {run})" if run != attempt else ""
            return f"attempt {attempt}{again} on {worker}, release {release}"
        case Progressed(_, percent, note):
            return f"{percent:g} % {note}"
        case Retrying(_, attempt, error, due_at):
            return f"attempt {attempt}, again at {_clock(due_at)}: {_error(error)}"
        case Completed(_, result):
            return _cut(result.decode(errors="replace"))
        case Failed(_, _, _, error):
            return _error(error)
        case Cancelled(_, actor, because) | Discarded(_, actor, because):
            return f"by {actor}" + (f": {because}" if because else "")
        case Unknown():
            return "told by a later release"
        case _:  # pragma: no cover - mypy proves it unreachable
            assert_never(event)


def _queued(event: Queued) -> str:
    place = f" {event.partition}@{event.offset}" if event.offset >= 0 else ""
    said = f"{event.lane.label}{place}"
    if event.generation > 1:
        said += f", generation {event.generation}"
    if event.not_before is not None:
        said += f", not before {_clock(event.not_before)}"
    if event.replay is not None:
        said += f", replayed by {event.replay.actor}"
        said += f": {event.replay.because}" if event.replay.because else ""
    if event.changes:
        said += f"; edited: {_cut(', '.join(map(told_change, event.changes)))}"
    return said


def told_change(change: Change) -> str:
    """One place of an edited payload, before and after."""
    before, after = change.before or "nothing", change.after or "nothing"
    return f"{change.path or 'the payload'} from {before} to {after}"


def _error(error: ErrorDetail) -> str:
    where = f" at {error.place}" if error.place else ""
    which = f" ({', '.join(error.fields)})" if error.fields else ""
    named = error.type if error.type == error.reason else f"{error.reason}: {error.type}"
    return _cut(f"{named}: {error.message}{which}{where}")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _clock(at: int | None) -> str:
    text = _iso(at)
    return "an unknown time" if text is None else text.replace("T", " ")


def _iso(at: int | None) -> str | None:
    if at is None:
        return None
    try:
        time = date_of(at)
    except OverflowError:
        return f"{at} µs after 1970"
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _transition(one: Transition) -> dict[str, Any]:
    event = _plain(one.event)
    if not event.get("changes", True):
        del event["changes"]
    return {
        "event": _word(one.event),
        "id": _plain(one.id),
        "generation": one.generation,
        "timeline": one.timeline,
        "index": one.index,
        "void": one.void,
        "inferred": one.inferred,
        **event,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of an event
    if is_dataclass(value):
        return {one.name: _field(one.name, getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Priority):
        return value.label
    if isinstance(value, UUID | StrEnum):
        return str(value)
    if isinstance(value, bytes):
        return _parsed(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 - any field of an event
    return _iso(value) if name in TIMES else _plain(value)


def _parsed(value: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The JSON that a result is; hexadecimal digits for the body of an unknown event."""
    try:
        return json.loads(value)
    except ValueError:
        return value.hex()
