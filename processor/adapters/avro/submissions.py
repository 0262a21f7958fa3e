"""How does a submission become Avro fields, and back?"""

from __future__ import annotations

from typing import Any, Final

from processor.adapters.avro.fields import (
    caller_fields,
    caller_of,
    moment,
    optional_bytes,
    optional_id,
    optional_moment,
    trace_fields,
    trace_of,
)
from processor.adapters.avro.identities import job_of, uuid_of
from processor.domain.limits import NAME_BYTES
from processor.domain.priority import Priority
from processor.domain.submission import NOBODY, Replay, SubmissionRecord

GENERATIONS: Final = 32_767
"""As many as the tables' smallint can number."""


def submission_fields(record: SubmissionRecord) -> dict[str, Any]:
    """A submission's fields."""
    return {
        "job": record.job.bytes,
        "generation": record.generation,
        "priority": int(record.priority),
        "submitted_at": record.submitted_at,
        "type": record.type,
        "entity": record.entity,
        "tenant": record.tenant,
        "payload": record.payload,
        "batch": optional_bytes(record.batch),
        "trace": trace_fields(record.trace),
        "caller": caller_fields(record.caller),
        "dedupe_key": record.dedupe_key,
        "not_before": record.not_before,
        "attempts": record.attempts,
        "parent": optional_bytes(record.parent),
        "replay": _replay_fields(record.replay),
    }


def submission_of(fields: dict[str, Any]) -> SubmissionRecord:
    """The submission of its fields; raises `ValueError` for what our tables could not hold.

    Lanes are open to producers that are not ours: a name with a NUL or beyond the limit would stop
    whoever stores it.
    """
    caller = fields["caller"]
    parent = fields["parent"]
    return SubmissionRecord(
        job=job_of(fields["job"]),
        type=_name(fields["type"]),
        payload=fields["payload"],
        entity=_name(fields["entity"]),
        priority=Priority(fields["priority"]),
        submitted_at=moment(fields["submitted_at"]),
        generation=_count(fields["generation"], GENERATIONS),
        tenant=_optional_name(fields["tenant"]),
        dedupe_key=_optional_name(fields["dedupe_key"]),
        batch=optional_id(fields["batch"]),
        not_before=optional_moment(fields["not_before"]),
        attempts=_optional_count(fields["attempts"]),
        caller=NOBODY if caller is None else caller_of(caller),
        trace=trace_of(fields["trace"]),
        parent=None if parent is None else job_of(parent),
        replay=_replay_of(fields["replay"]),
    )


def _replay_fields(replay: Replay | None) -> dict[str, Any] | None:
    if replay is None:
        return None
    return {
        "dead_letter": replay.dead_letter.bytes,
        "actor": replay.actor,
        "because": replay.because,
        "in_place": replay.in_place,
    }


def _replay_of(fields: dict[str, Any] | None) -> Replay | None:
    if fields is None:
        return None
    dead_letter = uuid_of(fields["dead_letter"])
    return Replay(dead_letter, fields["actor"], fields["because"], fields["in_place"])


def _name(text: str) -> str:
    if "\0" in text or len(text.encode()) > NAME_BYTES:
        raise ValueError(f"a name has at most {NAME_BYTES} bytes and no NUL, not {text[:32]!r}…")
    return text


def _optional_name(text: str | None) -> str | None:
    return None if text is None else _name(text)


def _count(number: int, limit: int) -> int:
    if not 1 <= number <= limit:
        raise ValueError(f"{number} is not between 1 and {limit}")
    return number


def _optional_count(number: int | None) -> int | None:
    return None if number is None else _count(number, 2**31 - 1)
