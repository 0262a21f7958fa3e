"""How do the journal's records become Avro fields, and back?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from processor.adapters.avro.events import decode_event, encode_event, kind_of, time_of
from processor.adapters.avro.fields import moment, optional_bytes, optional_id
from processor.adapters.avro.identities import job_of
from processor.domain.events import Progressed, Started
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import Live

if TYPE_CHECKING:
    from processor.adapters.avro.single_object import SingleObject

_EVENTS: Final = 32_767
"""As many as the tables' smallint can number."""


def outcome_fields(form: SingleObject, outcome: Outcome) -> dict[str, Any]:
    """An outcome's fields; the first six are what can be sliced."""
    end = outcome.end
    times = [time for time in map(time_of, outcome.events) if time is not None]
    return {
        "job": outcome.job.bytes,
        "generation": outcome.generation,
        "timeline": outcome.timeline,
        "upto": len(outcome.events),
        "at": times[-1] if times else 0,
        "end": "" if end is None else kind_of(end),
        "lane": int(outcome.lane),
        "partition": outcome.partition,
        "offset": outcome.offset,
        "type": outcome.type,
        "entity": outcome.entity,
        "tenant": outcome.tenant,
        "batch": optional_bytes(outcome.batch),
        "request_id": outcome.request_id,
        "events": [encode_event(form, event) for event in outcome.events],
        "submission": outcome.submission,
        "follow_ups": list(outcome.follow_ups),
    }


def outcome_of(form: SingleObject, fields: dict[str, Any]) -> Outcome:
    """The outcome of its fields; raises `Undecodable` or `ValueError`."""
    moment(fields["at"])
    if len(fields["events"]) > _EVENTS:
        raise ValueError(f"more than {_EVENTS} events")
    return Outcome(
        job=job_of(fields["job"]),
        generation=fields["generation"],
        timeline=fields["timeline"],
        type=fields["type"],
        entity=fields["entity"],
        tenant=fields["tenant"],
        lane=Priority(fields["lane"]),
        partition=fields["partition"],
        offset=fields["offset"],
        events=tuple(
            decode_event(form, event["kind"], event["body"]) for event in fields["events"]
        ),
        batch=optional_id(fields["batch"]),
        request_id=fields["request_id"],
        submission=fields["submission"],
        follow_ups=tuple(fields["follow_ups"]),
    )


def live_fields(form: SingleObject, live: Live) -> dict[str, Any]:
    """The fields of what a running job tells."""
    progress = live.progress
    return {
        "job": live.job.bytes,
        "generation": live.generation,
        "run": live.started.run,
        "at": live.started.at if progress is None else progress.at,
        "started": encode_event(form, live.started)["body"],
        "progress": None
        if progress is None
        else {"at": progress.at, "percent": progress.percent, "note": progress.note},
    }


def live_of(form: SingleObject, fields: dict[str, Any]) -> Live:
    """What a running job tells, of its fields; raises `Undecodable` or `ValueError`."""
    moment(fields["at"])
    started = decode_event(form, "Started", fields["started"])
    if not isinstance(started, Started):
        raise TypeError("a body of Started became another event")
    told = fields["progress"]
    progress = None
    if told is not None:
        progress = Progressed(moment(told["at"]), told["percent"], told["note"])
    return Live(job_of(fields["job"]), fields["generation"], started, progress)
