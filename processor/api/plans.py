"""What is done to many dead letters at once?"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, Field

from processor.api.answers import AT, Answer
from processor.api.asked import Because, Body, Lane, Name, ReasonBody, written
from processor.api.description import told
from processor.api.instants import Instant, iso, known_iso
from processor.api.letters import GroupAnswer, group_answer
from processor.api.limits import PAGE
from processor.api.problems import Problem, finite, nowhere
from processor.api.service import Operating, Reader, Served
from processor.domain.errors import ConfigurationError
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.domain.selection import Selection
from processor.ports.operations import OperationKind
from processor.ports.plans import Draft, PlanState

if TYPE_CHECKING:
    from processor.api.service import Service
    from processor.api.tokens import Bearer
    from processor.ports.plans import Plan

MOST: Final = 2**62
NAMED: Final = 10_000
"""Dead letters that one plan names by their ids."""

routes = APIRouter(prefix="/plans", tags=["plans"])

Number = Annotated[int, Path(ge=1, le=MOST, description="The plan's number.", examples=[7])]


class SelectionBody(Body):
    """Which dead letters are meant: filters that all have to be met, at least one."""

    ids: tuple[UUID, ...] = Field((), max_length=NAMED)
    type: Name | None = Field(None, examples=["billing"])
    place: Annotated[str, Field(max_length=500), AfterValidator(written)] | None = None
    release: Name | None = None
    tenant: Name | None = None
    """Only for a token of every tenant."""
    died_after: Instant | None = None
    died_before: Instant | None = None
    overtaken: bool | None = None
    """Whether its entity has completed another job since."""
    discarded: bool = False
    """The letters that were discarded, instead of those that are open."""


class PreviewBody(Body):
    """Which dead letters are meant."""

    selection: SelectionBody


class PlanBody(Body):
    """What is to be done to them."""

    selection: SelectionBody
    because: Because
    kind: Literal["replay", "discard"] = "replay"
    priority: Lane | None = None
    """The lane, instead of each job's own."""
    rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, examples=[50])] | None = None
    """Letters a second, at most."""
    canary: Annotated[int, Field(ge=1, le=1_000_000, examples=[20])] | None = None
    """So many first; their ends decide whether the others follow."""
    stop_above: Annotated[float, Field(ge=0, lt=1, examples=[0.1])] | None = None
    """The share of the canary that may fail; a tenth where a canary is named and this is not."""
    expect: Annotated[int, Field(ge=1, le=MOST, examples=[40_000])] | None = None
    """Nothing is done where another number is chosen."""


class PreviewAnswer(Answer):
    """What a plan would be made of now."""

    letters: int = Field(examples=[40_000])
    entities: int = Field(examples=[312])
    groups: list[GroupAnswer]


class PlanAnswer(Answer):
    """A plan as it stands."""

    id: int = Field(examples=[7])
    kind: OperationKind
    selection: str = Field(examples=["type billing, release 7"])
    by: str = Field(examples=["ada"])
    because: str
    at: str = Field(examples=[AT])
    letters: int
    done: int
    refused: int
    left: int
    state: PlanState
    priority: str | None
    rate: float | None
    canary: int | None
    stop_above: float | None
    deciding: bool
    """A canary decides now whether the others follow."""
    runner: str | None
    ended_by: str | None
    ended_because: str | None
    ended_at: str | None


class PlansAnswer(Answer):
    """Plans, the newest first."""

    plans: list[PlanAnswer]


@routes.get("", responses=told(422))
async def plans(
    service: Served, bearer: Reader, limit: Annotated[int, Query(ge=1, le=PAGE)] = 100
) -> PlansAnswer:
    """The last plans, the newest first."""
    found = await service.client.plans.recent(limit)
    return PlansAnswer(plans=[_answer(one) for one in found if _sees(bearer, one)])


@routes.post("/preview", responses=told(404, 422))
async def preview(asked: PreviewBody, service: Served, bearer: Operating) -> PreviewAnswer:
    """What a plan would be made of; nothing is written."""
    found = await service.client.plans.preview(_selection(asked.selection, bearer))
    return PreviewAnswer(
        letters=found.letters,
        entities=found.entities,
        groups=[group_answer(one) for one in found.groups],
    )


@routes.post("", status_code=HTTPStatus.CREATED, responses=told(404, 409, 422))
async def make(asked: PlanBody, service: Served, bearer: Operating) -> PlanAnswer:
    """Choose the letters, once and for all, and have a worker do it to each, in order."""
    draft = Draft(
        OperationKind(asked.kind),
        _selection(asked.selection, bearer),
        bearer.subject,
        asked.because,
        None if asked.priority is None else Priority.parse(asked.priority),
        asked.rate,
        asked.canary,
        asked.stop_above,
    )
    try:
        return _answer(await service.client.plans.make(draft, expect=asked.expect))
    except ConfigurationError as wrong:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(wrong)) from None


@routes.get("/{plan}", responses=told(422))
async def plan(plan: Number, service: Served, bearer: Reader) -> PlanAnswer:
    """A plan as it stands."""
    return _answer(await _seen(service, bearer, plan))


@routes.post("/{plan}/stop", responses=told(409, 422))
async def stop(plan: Number, asked: ReasonBody, service: Served, bearer: Operating) -> PlanAnswer:
    """Stop it after the letters that are on their way; it can be resumed."""
    await _seen(service, bearer, plan)
    by = bearer.subject
    return _answer(await service.client.plans.stop(plan, by=by, because=asked.because))


@routes.post("/{plan}/resume", responses=told(409, 422))
async def resume(plan: Number, asked: ReasonBody, service: Served, bearer: Operating) -> PlanAnswer:
    """Let it go on where it stood; nothing is done twice."""
    await _seen(service, bearer, plan)
    by = bearer.subject
    return _answer(await service.client.plans.resume(plan, by=by, because=asked.because))


async def _seen(service: Service, bearer: Bearer, number: int) -> Plan:
    found = await service.client.plans.get(number)
    if not _sees(bearer, found):
        raise nowhere()
    return found


def _sees(bearer: Bearer, plan: Plan) -> bool:
    """A plan that names no tenant may hold anybody's letters."""
    tenant = plan.selection.tenant
    return bearer.everywhere or (tenant is not None and bearer.sees(tenant))


def _selection(asked: SelectionBody, bearer: Bearer) -> Selection:
    """The selection, which for a token of one tenant is of that tenant."""
    tenant = bearer.tenant if asked.tenant is None else asked.tenant
    if not bearer.sees(tenant):
        raise nowhere()
    if tenant is None and not bearer.everywhere:
        raise Problem(HTTPStatus.FORBIDDEN, "A plan needs a token of a tenant, or of every one.")
    return Selection(
        ids=asked.ids,
        type=asked.type,
        place=asked.place,
        release=asked.release,
        tenant=tenant,
        died_after=None if asked.died_after is None else microseconds(asked.died_after),
        died_before=None if asked.died_before is None else microseconds(asked.died_before),
        overtaken=asked.overtaken,
        discarded=asked.discarded,
    )


def _answer(plan: Plan) -> PlanAnswer:
    draft = plan.draft
    return PlanAnswer(
        id=plan.id,
        kind=plan.kind,
        selection=plan.selection.words(),
        by=draft.by,
        because=draft.because,
        at=known_iso(plan.at),
        letters=plan.letters,
        done=plan.done,
        refused=plan.refused,
        left=plan.left,
        state=plan.state,
        priority=None if draft.priority is None else draft.priority.label,
        rate=None if draft.rate is None else finite(draft.rate),
        canary=draft.canary,
        stop_above=draft.stop_above,
        deciding=plan.canary_upto is not None,
        runner=plan.runner,
        ended_by=plan.ended_by,
        ended_because=plan.ended_because,
        ended_at=iso(plan.ended_at),
    )
