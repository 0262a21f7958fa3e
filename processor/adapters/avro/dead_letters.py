"""How do facts about dead letters, and the news of a failure, become Avro fields, and back?"""

from __future__ import annotations

from typing import Any

from processor.adapters.avro.fields import (
    caller_fields,
    caller_of,
    error_fields,
    error_of,
    moment,
    optional_bytes,
    optional_id,
    optional_moment,
    trace_fields,
    trace_of,
)
from processor.adapters.avro.identities import job_of, uuid_of
from processor.domain.dead_letter import AttemptError, DeadLetterFact, DeadLetterKind, JobFailed
from processor.domain.events import Reason
from processor.domain.priority import Priority
from processor.domain.submission import Caller


def dead_letter_fields(fact: DeadLetterFact) -> dict[str, Any]:
    """A fact's fields; the id stands among them for readers that are not ours."""
    return {
        "job": fact.job.bytes,
        "generation": fact.generation,
        "id": fact.id.bytes,
        "kind": fact.kind.value,
        "at": fact.at,
        "tenant": fact.tenant,
        "entity": fact.entity,
        "type": fact.type,
        "lane": None if fact.lane is None else int(fact.lane),
        "reason": None if fact.reason is None else fact.reason.value,
        "place": fact.place,
        "errors": [
            {"at": one.at, "attempt": one.attempt, "error": error_fields(one.error)}
            for one in fact.errors
        ],
        "submission": fact.submission,
        "progress": fact.progress,
        "caller": _caller_fields(fact.caller),
        "trace": trace_fields(fact.trace),
        "release": fact.release,
        "worker": fact.worker,
        "topic": fact.topic,
        "partition": fact.partition,
        "offset": fact.offset,
        "started_at": fact.started_at,
        "actor": fact.actor,
        "because": fact.because,
    }


def dead_letter_of(fields: dict[str, Any]) -> DeadLetterFact:
    """The fact of its fields; raises `ValueError`."""
    lane, reason, caller = fields["lane"], fields["reason"], fields["caller"]
    return DeadLetterFact(
        kind=DeadLetterKind(fields["kind"]),
        job=job_of(fields["job"]),
        generation=fields["generation"],
        at=moment(fields["at"]),
        tenant=fields["tenant"],
        entity=fields["entity"],
        type=fields["type"],
        lane=None if lane is None else Priority(lane),
        reason=None if reason is None else Reason(reason),
        place=fields["place"],
        errors=tuple(
            AttemptError(moment(one["at"]), one["attempt"], error_of(one["error"]))
            for one in fields["errors"]
        ),
        submission=fields["submission"],
        progress=fields["progress"],
        caller=None if caller is None else caller_of(caller),
        trace=trace_of(fields["trace"]),
        release=fields["release"],
        worker=fields["worker"],
        topic=fields["topic"],
        partition=fields["partition"],
        offset=fields["offset"],
        started_at=optional_moment(fields["started_at"]),
        actor=fields["actor"],
        because=fields["because"],
    )


def job_failed_fields(event: JobFailed) -> dict[str, Any]:
    """The fields of the news that a job has failed."""
    return {
        "job": event.job.bytes,
        "generation": event.generation,
        "event_id": event.event_id.bytes,
        "at": event.at,
        "type": event.type,
        "tenant": event.tenant,
        "entity": event.entity,
        "reason": event.reason.value,
        "error": error_fields(event.error),
        "attempts": event.attempts,
        "dead_letter": event.dead_letter.bytes,
        "batch": optional_bytes(event.batch),
        "request_id": event.request_id,
        "trace": trace_fields(event.trace),
    }


def job_failed_of(fields: dict[str, Any]) -> JobFailed:
    """The news that a job has failed, of its fields; raises `ValueError`."""
    return JobFailed(
        job=job_of(fields["job"]),
        generation=fields["generation"],
        type=fields["type"],
        tenant=fields["tenant"],
        entity=fields["entity"],
        reason=Reason(fields["reason"]),
        error=error_of(fields["error"]),
        attempts=fields["attempts"],
        dead_letter=uuid_of(fields["dead_letter"]),
        batch=optional_id(fields["batch"]),
        request_id=fields["request_id"],
        trace=trace_of(fields["trace"]),
        at=moment(fields["at"]),
        event_id=uuid_of(fields["event_id"]),
    )


def _caller_fields(caller: Caller | None) -> dict[str, str | None] | None:
    """Of a dead letter it is told apart whether a caller of whom nothing is known was given."""
    if caller is None:
        return None
    return caller_fields(caller) or dict.fromkeys(Caller.__slots__)
