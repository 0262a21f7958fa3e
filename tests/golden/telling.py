"""What do recorded records of a log say, in words that no later version changes?"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from processor.adapters.avro import AvroCodec
from processor.adapters.memory.projection import MemoryProjections
from processor.domain.events import Unknown
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.domain.status import JobStatus
from processor.domain.topics import Topics
from processor.ports.log import Place
from projections.dead_letters import DeadLetterProjection
from projections.history import FoldedHistory, HistoryProjection
from projections.projection import KeptAside
from projections.queries import DeadLetters

CODEC: Final = AvroCodec()
TOPICS: Final = Topics()
PARTITIONS: Final = 2


async def told(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The status of every job that those records tell of, and the dead letters that are open."""
    store = MemoryProjections()
    for projection in (
        HistoryProjection(TOPICS, PARTITIONS, CODEC),
        DeadLetterProjection(TOPICS, PARTITIONS, CODEC),
    ):
        places = set(projection.places)
        for one in records:
            place = Place(one["topic"], one["partition"])
            if place in places:
                kept = KeptAside(one["offset"], b64decode(one["value"]), one["timestamp"])
                folded = projection.fold({place: [kept]})
                assert await store.write(projection.name, [], folded.batch)
    history = FoldedHistory(store, CODEC)
    letters = [one async for one in DeadLetters(store, CODEC).open()]
    return {
        "jobs": {str(job): _status(await history.status(job)) for job in sorted(_jobs(records))},
        "open dead letters": sorted(str(one.died.id) for one in letters),
    }


def _jobs(records: Sequence[dict[str, Any]]) -> set[JobId]:
    lanes = {*TOPICS.lanes, TOPICS.events}
    bodies = (b64decode(one["value"]) for one in records if one["topic"] in lanes)
    return {JobId(UUID(bytes=body[10:26])) for body in bodies if body.startswith(b"\xc3\x01")}


def _status(status: JobStatus | None) -> dict[str, Any]:
    assert status is not None
    job = status.current
    return {
        "state": str(status.state),
        "generation": status.generation,
        "attempts": status.attempts,
        "runs": job.run,
        "type": status.type,
        "entity": status.entity,
        "tenant": status.tenant,
        "result": None if status.result is None else status.result.decode(),
        "error": None if job.error is None else _plain(job.error),
        "due_at": job.due_at,
        "ended_at": job.ended_at,
        "discarded": job.discarded,
        "history": [
            {
                "generation": one.generation,
                "timeline": one.timeline,
                "index": one.index,
                "id": _plain(one.id),
                "void": one.void,
                "inferred": one.inferred,
                "event": one.event.kind
                if isinstance(one.event, Unknown)
                else type(one.event).__name__,
                **_plain(one.event),
            }
            for one in status.history
        ],
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of an event
    if is_dataclass(value):
        told = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {name: one for name, one in told.items() if one not in (None, "", [])}
    if isinstance(value, Priority):
        return value.label
    if isinstance(value, UUID | StrEnum):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return [*map(_plain, value)] if isinstance(value, tuple) else value
