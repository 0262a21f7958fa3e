"""What does a lane's record hold?

Times are microseconds since the epoch, UTC, in every domain value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.domain.ids import entity_key

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: carried unchanged to every attempt, dead letter and follow-up."""

    user: str | None = None
    session: str | None = None
    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


NOBODY: Final = Caller()
"""Of whom nothing is known: the one object for it, so that `is` finds nearly every one."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A W3C trace context, as its two headers."""

    traceparent: str
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """Why a later generation was started, by whom, and from which dead letter."""

    dead_letter: UUID
    actor: str
    because: str
    in_place: bool = False
    """A command for the owner of a blocking row, not a record with a place of its own."""


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """One submission as its lane holds it; a replay appends it again as the next generation."""

    job: JobId
    type: str
    payload: bytes
    """JSON, not looked at before processing."""
    entity: str
    """The job's own id where the producer named none."""
    priority: Priority
    submitted_at: int
    generation: int = 1
    tenant: str | None = None
    dedupe_key: str | None = None
    batch: UUID | None = None
    not_before: int | None = None
    attempts: int | None = None
    caller: Caller = NOBODY
    trace: Trace | None = None
    parent: JobId | None = None
    replay: Replay | None = None

    @property
    def entity_key(self) -> int:
        """The entity's lock key."""
        return entity_key(self.tenant, self.entity)


def trace_headers(trace: Trace | None) -> tuple[tuple[str, bytes], ...]:
    """The record's headers by which tools that know nothing of us follow a trace."""
    if trace is None:
        return ()
    parent = ("traceparent", trace.traceparent.encode())
    return (parent, ("tracestate", trace.tracestate.encode())) if trace.tracestate else (parent,)
