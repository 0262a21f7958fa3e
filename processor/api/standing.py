"""How does everything stand: the lanes, the workers, one entity?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from processor.api.answers import AT, JOB, Answer
from processor.api.asked import Name
from processor.api.description import told
from processor.api.holds import HoldAnswer, hold_answer
from processor.api.instants import iso, known_iso
from processor.api.letters import GroupAnswer, group_answer
from processor.api.limits import PAGE
from processor.api.problems import nowhere
from processor.api.service import Overseeing, Reader, Served
from processor.domain.ids import dead_letter_id
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from processor.ports.views import WorkersSeen
    from processor.ports.waiting_room import Waiting
    from processor.runtime.overview import LaneSeen

SHOWN: Final = 20

routes = APIRouter(tags=["the whole"])


class LaneAnswer(Answer):
    """One lane."""

    lane: str = Field(examples=["critical"])
    waiting: int = Field(examples=[1234])
    oldest: str | None = Field(examples=[AT])
    """When the oldest of them was appended."""
    rate: float = Field(examples=[48.5])
    """Jobs a second that ended lately."""
    share: float = Field(examples=[0.53])
    """Of all that ended lately, from 0 to 1."""


class LongRunAnswer(Answer):
    """A job that has run for longer than its partition could wait."""

    job: UUID = Field(examples=[JOB])
    partition: int
    since: str
    runs: int


class WorkerAnswer(Answer):
    """A worker."""

    id: UUID
    release: str = Field(examples=["2026.11.3"])
    types: list[str]
    leaving: bool
    silent: float
    """Seconds since it last beat."""
    started_at: str
    partitions: list[int]
    long_runs: list[LongRunAnswer]


class WorkersAnswer(Answer):
    """All of them, and the partitions that none owns."""

    workers: list[WorkerAnswer]
    without_owner: list[int]


class OverviewAnswer(Answer):
    """Everything at a glance."""

    at: str = Field(examples=[AT])
    lanes: list[LaneAnswer]
    held: list[HoldAnswer]
    dead_letters: list[GroupAnswer]
    blocked: int
    """Entities that wait for an operator."""
    retrying: int
    """Entities whose head waits for its next attempt."""
    waiting_room: int
    """Rows, about."""
    workers: WorkersAnswer


class WaitingAnswer(Answer):
    """A job that waits."""

    job: UUID = Field(examples=[JOB])
    generation: int
    state: str = Field(examples=["retrying"])
    lane: str = Field(examples=["normal"])
    due_at: str | None
    since: str
    dead_letter: UUID | None
    """The one that blocks its entity, to be replayed or discarded."""


class EntityAnswer(Answer):
    """What waits of one entity."""

    entity: str = Field(examples=["N14228"])
    tenant: str | None
    head: WaitingAnswer | None
    """The one that goes first: no other job of the entity runs."""
    waiting: list[WaitingAnswer]
    by_state: dict[str, int]
    holds: list[HoldAnswer]


@routes.get("/overview")
async def overview(service: Served, _: Overseeing) -> OverviewAnswer:
    """Lanes, holds, dead letters, blocked entities and workers; at most a second old."""
    seen = await service.overview()
    return OverviewAnswer(
        at=known_iso(seen.at),
        lanes=[_lane(one) for one in seen.lanes],
        held=[hold_answer(one) for one in seen.held],
        dead_letters=[group_answer(one) for one in seen.dead_letters],
        blocked=seen.blocked,
        retrying=seen.retrying,
        waiting_room=seen.waiting_room,
        workers=_workers(seen.workers),
    )


@routes.get("/workers")
async def workers(service: Served, _: Overseeing) -> WorkersAnswer:
    """Who works: release, partitions, sign of life, and what has run there for long."""
    return _workers(await service.views.workers())


@routes.get("/entity", responses=told(404, 422))
async def entity(
    name: Annotated[Name, Query(description="As it was submitted.", examples=["N14228"])],
    service: Served,
    bearer: Reader,
    tenant: Annotated[
        Name | None, Query(description="Whose; only for a token of every tenant.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE, description="Waiting jobs told.")] = SHOWN,
) -> EntityAnswer:
    """What goes first of an entity, what blocks it, and what waits behind it.

    Jobs that are still in their lane, unread or in a worker's memory, are not among them.
    """
    whose = bearer.tenant if tenant is None else tenant
    if not bearer.sees(whose):
        raise nowhere()
    seen = await service.views.entity(whose, name, limit)
    return EntityAnswer(
        entity=name,
        tenant=whose,
        head=None if seen.head is None else _waiting(seen.head),
        waiting=[_waiting(one) for one in seen.waiting],
        by_state={state.name.lower(): count for state, count in seen.by_state.items()},
        holds=[hold_answer(one) for one in seen.holds],
    )


def _lane(lane: LaneSeen) -> LaneAnswer:
    return LaneAnswer(
        lane=lane.lane.label,
        waiting=lane.waiting,
        oldest=iso(lane.oldest),
        rate=lane.rate,
        share=lane.share,
    )


def _workers(seen: WorkersSeen) -> WorkersAnswer:
    return WorkersAnswer(
        workers=[
            WorkerAnswer(
                id=one.worker.id,
                release=one.worker.release,
                types=sorted(one.worker.types),
                leaving=one.worker.leaving,
                silent=max(0.0, one.worker.silent),
                started_at=known_iso(one.started_at),
                partitions=list(one.partitions),
                long_runs=[
                    LongRunAnswer(
                        job=run.job,
                        partition=run.partition,
                        since=known_iso(run.since),
                        runs=run.runs,
                    )
                    for run in one.long_runs
                ],
            )
            for one in seen.workers
        ],
        without_owner=list(seen.without_owner),
    )


def _waiting(one: Waiting) -> WaitingAnswer:
    wait = one.wait
    blocks = wait.state is WaitingState.BLOCKING
    return WaitingAnswer(
        job=wait.job,
        generation=wait.generation,
        state=wait.state.name.lower(),
        lane=wait.lane.label,
        due_at=iso(wait.due_at),
        since=known_iso(one.since),
        dead_letter=dead_letter_id(wait.job, wait.generation) if blocks else None,
    )
