"""What failed for good, and what is done about one of them?"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field

from processor.api.answers import AT, JOB, Answer, ErrorAnswer, PayloadAnswer
from processor.api.asked import EditBody, Name, ReasonBody, ReplayBody
from processor.api.description import told
from processor.api.instants import iso, known_iso
from processor.api.jobs import parsed
from processor.api.limits import PAGE
from processor.api.problems import Problem, nowhere
from processor.api.service import Operating, Reader, Served
from processor.domain.errors import DeadLetterNotFound
from processor.domain.ids import dead_letter_id
from processor.domain.priority import Priority
from processor.domain.selection import Selection
from processor.runtime.submission import new_id

if TYPE_CHECKING:
    from processor.api.service import Service
    from processor.api.tokens import Bearer
    from processor.domain.changes import Change
    from processor.ports.projection import LetterGroup
    from projections.queries import DeadLetter

SHOWN: Final = 100

routes = APIRouter(prefix="/dead-letters", tags=["dead letters"])

Letter = Annotated[UUID, Path(description="The dead letter's id.")]
Type = Annotated[Name | None, Query(description="Those of a job type.")]
Place = Annotated[
    Annotated[str, Field(max_length=500)] | None, Query(description="Whose error was raised there.")
]
Tenant = Annotated[Name | None, Query(description="Whose; only for a token of every tenant.")]


class AttemptErrorAnswer(ErrorAnswer):
    """The error of one attempt."""

    at: str = Field(examples=[AT])
    attempt: int


class LetterAnswer(Answer):
    """A dead letter; its payload is asked for apart."""

    id: UUID
    job: UUID = Field(examples=[JOB])
    generation: int
    died_at: str = Field(examples=[AT])
    closed: str | None = Field(examples=["replayed"])
    """replayed or discarded; null while it is open."""
    tenant: str | None
    entity: str = Field(examples=["N14228"])
    type: str = Field(examples=["flight.landed"])
    lane: str | None = Field(examples=["normal"])
    reason: str | None = Field(examples=["HandlerFailed"])
    place: str = Field(examples=["billing:charge:41"])
    errors: list[AttemptErrorAnswer]
    release: str
    worker: str


class LettersAnswer(Answer):
    """A page of dead letters, in the order of death."""

    letters: list[LetterAnswer]
    next: UUID | None
    """To be handed in as `after` for the page that follows; null on the last one."""


class GroupAnswer(Answer):
    """Open dead letters that died of the same thing."""

    type: str = Field(examples=["flight.landed"])
    place: str = Field(examples=["billing:charge:41"])
    letters: int = Field(examples=[40_000])
    first_at: str = Field(examples=[AT])
    last_at: str = Field(examples=[AT])
    release: str = Field(examples=["2026.11.3"])
    """Of the workers that ran them last."""
    tenants: list[str]
    """The first of them by name."""
    tenant_count: int
    overtaken: int
    """Letters whose entity has completed another job since."""


class GroupsAnswer(Answer):
    """All of them, the largest first."""

    groups: list[GroupAnswer]


class ChangeAnswer(Answer):
    """How a payload was edited, in one place."""

    path: str = Field(examples=["legs.0.tail"])
    before: Any = None
    after: Any = None


class OperatedAnswer(Answer):
    """What was done with a dead letter."""

    job: UUID = Field(examples=[JOB])


class EditedAnswer(OperatedAnswer):
    """What was done, and what was changed."""

    generation: int = Field(examples=[2])
    changes: list[ChangeAnswer]


@routes.get("", responses=told(404, 422))
async def letters(
    service: Served,
    bearer: Reader,
    type_: Annotated[Name | None, Query(alias="type", description="Those of a job type.")] = None,
    place: Place = None,
    tenant: Tenant = None,
    after: Annotated[UUID | None, Query(description="The last one of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = SHOWN,
) -> LettersAnswer:
    """The open dead letters, in the order of death."""
    whose = bearer.tenant if tenant is None else tenant
    if not bearer.sees(whose):
        raise nowhere()
    last = None if after is None else await _seen(service, bearer, after)
    found = []
    async for letter in service.client.dead_letters.open(
        type=type_, place=place, tenant=whose, after=last
    ):
        if bearer.sees(letter.died.tenant):
            found.append(letter)
        if len(found) > limit:
            break
    page = found[:limit]
    return LettersAnswer(
        letters=[_answer(one) for one in page],
        next=page[-1].died.id if len(found) > limit else None,
    )


@routes.get("/groups")
async def groups(service: Served, bearer: Reader) -> GroupsAnswer:
    """The open dead letters, counted by what they died of."""
    if bearer.tenant is None and not bearer.everywhere:
        raise Problem(HTTPStatus.FORBIDDEN, "Groups need a token of a tenant, or of every one.")
    found = await service.client.dead_letters.groups(Selection(tenant=bearer.tenant))
    return GroupsAnswer(groups=[group_answer(one) for one in found])


@routes.get("/{letter}", responses=told(422))
async def letter(letter: Letter, service: Served, bearer: Reader) -> LetterAnswer:
    """One dead letter, open or closed."""
    return _answer(await _seen(service, bearer, letter))


@routes.get("/{letter}/payload", responses=told(422))
async def payload(letter: Letter, service: Served, bearer: Reader) -> PayloadAnswer:
    """What its job was submitted with; the bytes of a record that could not be decoded."""
    died = (await _seen(service, bearer, letter)).died
    record = service.submissions.decoded(died.submission)
    return PayloadAnswer(
        generation=died.generation,
        payload={"bytes": (died.submission or b"").hex()}
        if record is None
        else parsed(record.payload),
    )


@routes.post("/{letter}/replay", responses=told(409, 422))
async def replay(
    letter: Letter, asked: ReplayBody, service: Served, bearer: Operating
) -> OperatedAnswer:
    """Start its job anew, under the same id and with its history; again is harmless."""
    died = (await _seen(service, bearer, letter)).died
    lane = None if asked.priority is None else Priority.parse(asked.priority)
    job = await service.client.replay(
        died.id, by=bearer.subject, because=asked.because, priority=lane
    )
    return OperatedAnswer(job=job)


@routes.post("/{letter}/discard", responses=told(409, 422))
async def discard(
    letter: Letter, asked: ReasonBody, service: Served, bearer: Operating
) -> OperatedAnswer:
    """Close it; its job stays failed, and an entity that it blocks goes on. A replay undoes it."""
    died = (await _seen(service, bearer, letter)).died
    job = await service.client.discard(died.id, by=bearer.subject, because=asked.because)
    return OperatedAnswer(job=job)


@routes.post("/{letter}/edit", responses=told(409, 422))
async def edit(letter: Letter, asked: EditBody, service: Served, bearer: Operating) -> EditedAnswer:
    """Replay it with another payload; what was changed, by whom and why, stays in its history."""
    died = (await _seen(service, bearer, letter)).died
    lane = None if asked.priority is None else Priority.parse(asked.priority)
    done = await service.client.edit(
        died.id, asked.payload, by=bearer.subject, because=asked.because, priority=lane
    )
    return EditedAnswer(
        job=done.job, generation=done.generation, changes=changes_of(done.first.changes)
    )


def changes_of(changes: tuple[Change, ...]) -> list[ChangeAnswer]:
    """Each place that an edit changed."""
    return [
        ChangeAnswer(path=one.path, before=_json(one.before), after=_json(one.after))
        for one in changes
    ]


def _json(text: str | None) -> Any:  # noqa: ANN401 - any JSON
    return None if text is None else parsed(text.encode())


def group_answer(group: LetterGroup) -> GroupAnswer:
    """One group."""
    return GroupAnswer(
        type=group.type,
        place=group.place,
        letters=group.letters,
        first_at=known_iso(group.first_at),
        last_at=known_iso(group.last_at),
        release=group.release,
        tenants=list(group.tenants),
        tenant_count=group.tenant_count,
        overtaken=group.overtaken,
    )


async def _seen(service: Service, bearer: Bearer, letter: UUID) -> DeadLetter:
    """A letter that the bearer may see; another's takes as long as one that is not there."""
    try:
        found = await service.client.dead_letters.by_id(letter)
        if bearer.sees(found.died.tenant):
            return found
        await service.client.dead_letters.by_id(dead_letter_id(new_id(), 1))
    except DeadLetterNotFound:
        pass
    raise nowhere()


def _answer(letter: DeadLetter) -> LetterAnswer:
    died = letter.died
    return LetterAnswer(
        id=died.id,
        job=died.job,
        generation=died.generation,
        died_at=known_iso(died.at),
        closed=None if letter.closed is None else letter.closed.name.lower(),
        tenant=died.tenant,
        entity=died.entity,
        type=died.type,
        lane=None if died.lane is None else died.lane.label,
        reason=died.reason,
        place=died.place,
        errors=[
            AttemptErrorAnswer(
                at=iso(one.at) or "",
                attempt=one.attempt,
                reason=one.error.reason,
                type=one.error.type,
                message=one.error.message,
                place=one.error.place,
                fields=list(one.error.fields),
                traceback=one.error.traceback,
            )
            for one in died.errors
        ],
        release=died.release,
        worker=died.worker,
    )
