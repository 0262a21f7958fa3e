"""Who did what, when and why?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from processor.api.answers import AT, JOB, Answer
from processor.api.asked import Body, Name
from processor.api.description import told
from processor.api.instants import Instant, known_iso
from processor.api.letters import ChangeAnswer, changes_of
from processor.api.limits import PAGE
from processor.api.service import Overseeing, Served
from processor.domain.ids import JobId
from processor.domain.instants import microseconds
from processor.ports.operations import AuditQuery, OperationKind

if TYPE_CHECKING:
    from processor.ports.operations import Operation

SHOWN: Final = 100

routes = APIRouter(tags=["audit"])


class OperationAnswer(Answer):
    """What somebody did."""

    number: int
    kind: OperationKind
    at: str = Field(examples=[AT])
    actor: str = Field(examples=["ada"])
    reason: str = Field(examples=["the payment API is back"])
    job: UUID | None = Field(examples=[JOB])
    generation: int | None
    subject: str = Field(examples=["type billing"])
    plan: int | None
    changes: list[ChangeAnswer]


class AuditAnswer(Answer):
    """Operations, the newest first."""

    operations: list[OperationAnswer]
    next: int | None
    """To be handed in as `before` for the page that follows; null on the last one."""


class AuditAsked(Body):
    """Which operations are told."""

    since: Instant | None = Field(None, examples=[AT])
    until: Instant | None = Field(None, examples=[AT])
    kind: OperationKind | None = None
    actor: Name | None = Field(None, examples=["ada"])
    job: UUID | None = Field(None, examples=[JOB])
    singly: bool = Field(default=False, description="Also what a plan did to each letter.")
    before: int | None = Field(None, ge=1, le=2**62)
    limit: int = Field(SHOWN, ge=1, le=PAGE)


@routes.get("/audit", responses=told(422))
async def audit(
    service: Served, _: Overseeing, asked: Annotated[AuditAsked, Query()]
) -> AuditAnswer:
    """Replays, discards, edits, cancels, holds, releases and plans: by whom, when and why."""
    found = await service.client.audit(
        AuditQuery(
            None if asked.since is None else microseconds(asked.since),
            None if asked.until is None else microseconds(asked.until),
            asked.kind,
            asked.actor,
            None if asked.job is None else JobId(asked.job),
            asked.singly,
            asked.before,
            asked.limit,
        )
    )
    return AuditAnswer(
        operations=[_answer(one) for one in found],
        next=found[-1].number if len(found) == asked.limit else None,
    )


def _answer(one: Operation) -> OperationAnswer:
    return OperationAnswer(
        number=one.number,
        kind=one.kind,
        at=known_iso(one.at),
        actor=one.actor,
        reason=one.reason,
        job=one.job,
        generation=one.generation,
        subject=one.subject,
        plan=one.plan,
        changes=changes_of(one.changes),
    )
