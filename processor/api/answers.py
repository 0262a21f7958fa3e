"""What do the answers about jobs look like?

Times are ISO 8601 in UTC. A field that has no value is null; a `result` is there once a job is
complete, and null where its handler returned nothing.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from processor.domain.explanation import Cause
from processor.domain.job import State

JOB: Final = "0193a4b2-7c1d-7e2f-8a3b-4c5d6e7f8091"
AT: Final = "2026-11-24T03:12:45.123456Z"


class Answer(BaseModel):
    """What every answer is."""

    model_config = ConfigDict(frozen=True)


class Appended(Answer):
    """A submission that is acknowledged."""

    id: UUID = Field(examples=[JOB])


class BatchAppended(Answer):
    """Submissions that are acknowledged, in the order in which they were given."""

    batch: UUID
    ids: list[UUID]


class ErrorAnswer(Answer):
    """An error, as operators see it."""

    reason: str = Field(examples=["HandlerFailed"])
    type: str = Field(examples=["ConnectionError"])
    message: str = Field(examples=["503 from payments"])
    place: str = Field(examples=["billing:charge:41"])
    fields: list[str] = []
    traceback: str = ""


class TraceAnswer(Answer):
    """A W3C trace context."""

    traceparent: str
    tracestate: str


class TransitionAnswer(BaseModel):
    """One line of a job's history; what it says beside this depends on the event."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: str = Field(examples=["started"])
    id: UUID | None
    generation: int
    timeline: int
    index: int
    void: bool
    """It does not count: a failover or an earlier end undid it."""
    inferred: bool


class ProgressAnswer(Answer):
    """How far a running handler is."""

    at: str
    percent: float
    note: str


class JobAnswer(BaseModel):
    """Everything that is known of a job."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": JOB,
                    "type": "flight.landed",
                    "entity": "N14228",
                    "tenant": "acme",
                    "batch": None,
                    "state": "complete",
                    "generation": 1,
                    "lane": "high",
                    "attempts": 1,
                    "runs": 1,
                    "result": {"minutes": 227},
                    "waits_for": None,
                    "as_of": None,
                    "history": [
                        {
                            "event": "queued",
                            "id": None,
                            "generation": 1,
                            "timeline": 0,
                            "index": -1,
                            "void": False,
                            "inferred": False,
                            "at": AT,
                        }
                    ],
                }
            ]
        },
    )

    id: UUID
    type: str
    entity: str
    tenant: str | None
    batch: UUID | None
    state: State
    generation: int
    lane: str
    attempts: int
    runs: int
    not_before: str | None = None
    due_at: str | None = None
    worker: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    progress: ProgressAnswer | None = None
    reason: str | None = None
    error: ErrorAnswer | None = None
    trace: TraceAnswer | None = None
    discarded: bool = False
    waits_for: str | None = None
    """What keeps it from running, apart from its turn in its lane."""
    as_of: str | None = None
    """Set while only the acknowledgement of its submission is known: when that was."""
    history: list[TransitionAnswer]


class ExplanationAnswer(Answer):
    """Why a job stays where it is."""

    id: UUID = Field(examples=[JOB])
    cause: Cause = Field(examples=["behind_job"])
    sentence: str = Field(examples=["it is behind job 0193… of the same entity, which runs"])
    details: dict[str, str | int | float | None]


class CancellationAnswer(Answer):
    """What a job was when somebody wanted to cancel it, and what it is now."""

    job: UUID = Field(examples=[JOB])
    generation: int
    was: State
    now: State
    ours: bool
    """Whether this request ended it."""


class PayloadAnswer(Answer):
    """What was submitted, as the newest generation has it."""

    generation: int = Field(examples=[1])
    payload: Any = Field(examples=[{"tail": "N14228", "minutes": 227}])
