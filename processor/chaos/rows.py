"""As which rows do the records of a topic stand beside the ledger?

Bodies are kept as their SHA-256: two are the same if and only if they are byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Failed,
    Retrying,
    Started,
)
from processor.domain.outcome import Outcome
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.events import Durable
    from processor.domain.priority import Priority
    from processor.ports.codec import Codec


class Table(NamedTuple):
    """A table of the schema `chaos`, and the columns that are written."""

    name: str
    columns: tuple[str, ...]


Line = tuple[Any, ...]
Rows = dict[Table, list[Line]]

LANE: Final = Table(
    "lane_record",
    (
        *("lane", "partition", "at_offset", "job", "generation", "entity", "type"),
        *("scheduled", "in_place", "parent", "digest"),
    ),
)
TOLD: Final = Table(
    "told",
    (
        *("partition", "at_offset", "job", "generation", "timeline", "entity", "type", "ending"),
        *("reason", "error", "events", "attempts", "runs_whole", "too_early"),
        *("retried_at", "last_at", "digest"),
    ),
)
FOLLOW_UP: Final = Table("follow_up", ("job", "generation", "digest"))
FACT: Final = Table("fact", ("partition", "at_offset", "kind", "job", "generation", "digest"))
FAILURE: Final = Table("job_failed", ("partition", "at_offset", "job", "generation", "digest"))
STRANGE: Final = Table("strange", ("topic", "partition", "at_offset", "why"))

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rows_of_lane(
    codec: Codec, lane: Priority, records: Sequence[Any], undecodable: Callable[[Any], UUID]
) -> Rows:
    """The records of a lane; `undecodable` names the job of one that is none of ours."""
    lines: list[Line] = []
    for record in records:
        where = (int(lane), record.partition, record.offset)
        digest = _digest(record.value)
        try:
            one = codec.decode_submission(record.value or b"")
        except Undecodable:
            job = undecodable(record)
            lines.append((*where, job, 1, None, None, False, False, None, digest))
            continue
        in_place = one.replay is not None and one.replay.in_place
        scheduled = one.not_before is not None
        name = (one.job, one.generation, one.entity, one.type)
        lines.append((*where, *name, scheduled, in_place, one.parent, digest))
    return {LANE: lines}


def rows_of_told(codec: Codec) -> Callable[[Sequence[Any]], Rows]:
    """The outcomes of the journal; what is ephemeral leaves no row."""

    def made(records: Sequence[Any]) -> Rows:
        rows: Rows = {TOLD: [], FOLLOW_UP: [], STRANGE: []}
        for record, told in _decoded(records, codec.decode_journal, rows):
            if not isinstance(told, Outcome):
                continue
            rows[TOLD].append(_told(record, told))
            if isinstance(told.end, Completed):
                rows[FOLLOW_UP] += (
                    (told.job, told.generation, _digest(value)) for value in told.follow_ups
                )
        return rows

    return made


def _told(record: Any, told: Outcome) -> Line:  # noqa: ANN401 - aiokafka ships no types
    ending, reason, error = _end(told)
    started = [event for event in told.events if isinstance(event, Started)]
    retried = [event.at for event in told.events if isinstance(event, Retrying)]
    cancelled = ending == b"x"
    return (
        *(record.partition, record.offset, told.job, told.generation, told.timeline),
        *(told.entity, told.type, ending, reason, error, len(told.events)),
        max((event.attempt for event in started), default=0),
        # Who cancels knows of the runs that were told, and of no others.
        cancelled or [event.run for event in started] == list(range(1, len(started) + 1)),
        _too_early(told.events),
        _moment(min(retried, default=None)),
        _moment(max((event.at for event in started), default=None)),
        _digest(record.value),
    )


def _end(told: Outcome) -> tuple[bytes | None, str | None, str | None]:
    """The letter of the ledger, the reason and the error of a failure."""
    match told.end:
        case Completed():
            return b"c", None, None
        case Failed(reason=reason, error=error):
            return b"f", reason.value, error.type
        case Cancelled():
            return b"x", None, None
        case Discarded():
            return b"d", None, None
        case _:
            return None, None, None


def _too_early(events: Sequence[Durable]) -> bool:
    return any(
        isinstance(before, Retrying) and isinstance(event, Started) and event.at < before.due_at
        for before, event in pairwise(events)
    )


def rows_of_fact(codec: Codec) -> Callable[[Sequence[Any]], Rows]:
    """The facts about dead letters."""

    def made(records: Sequence[Any]) -> Rows:
        rows: Rows = {FACT: [], STRANGE: []}
        for record, fact in _decoded(records, codec.decode_dead_letter, rows):
            name = (fact.kind.value, fact.job, fact.generation)
            rows[FACT].append((record.partition, record.offset, *name, _digest(record.value)))
        return rows

    return made


def rows_of_failure(codec: Codec) -> Callable[[Sequence[Any]], Rows]:
    """What other teams were told of jobs that failed."""

    def made(records: Sequence[Any]) -> Rows:
        rows: Rows = {FAILURE: [], STRANGE: []}
        for record, told in _decoded(records, codec.decode_job_failed, rows):
            name = (told.job, told.generation)
            rows[FAILURE].append((record.partition, record.offset, *name, _digest(record.value)))
        return rows

    return made


def _decoded(
    records: Sequence[Any], decode: Callable[[bytes], Any], rows: Rows
) -> Iterator[tuple[Any, Any]]:
    """Each record with what it says; one that says nothing is written down as strange."""
    for record in records:
        try:
            yield record, decode(record.value or b"")
        except Undecodable as error:
            where = (record.topic, record.partition, record.offset)
            rows[STRANGE].append((*where, str(error)))


def _digest(value: bytes | None) -> bytes:
    return sha256(value or b"").digest()


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
