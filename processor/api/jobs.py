"""What became of a job, why does it wait, what was handed in, and how is it ended?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic_core import from_json

from processor.api.answers import (
    JOB,
    CancellationAnswer,
    ExplanationAnswer,
    JobAnswer,
    PayloadAnswer,
)
from processor.api.asked import ReasonBody
from processor.api.description import told
from processor.api.limits import WAIT_SECONDS
from processor.api.positions import HEADER
from processor.api.problems import finite, nowhere, unavailable
from processor.api.service import Operating, Reader, Served
from processor.api.streaming import Streams, changed, parse_place, place_of
from processor.api.streaming import told as told_of
from processor.domain.errors import JobNotFound, Unavailable
from processor.domain.ids import JobId
from processor.domain.job import ENDED
from processor.runtime.submission import new_id
from projections.timeline import as_json

if TYPE_CHECKING:
    from processor.api.service import Service
    from processor.api.tokens import Bearer
    from processor.domain.status import JobStatus

ASK_AGAIN: Final = 0.1
NAMELESS_SECONDS: Final = 2.0
"""How long a job is waited for of which only its own running is known yet."""
BEHIND: Final = "Whether there is such a job is not known yet; ask again."

routes = APIRouter(tags=["jobs"])

Job = Annotated[UUID, Path(description="The job's id.", examples=[JOB])]
Position = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="As a submission was answered: the answer waits, a little, for the history to"
        " come so far.",
        examples=["normal.3=1235"],
    ),
]
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`transition` (id: its place), `state`, and at the job's end `end`.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: transition\nid: 1.0.0\ndata: {"event":"queued"}\n\n',
            }
        },
    },
    204: {"description": "The job has ended, and all of it was told."},
}


async def streams_of(request: Request) -> Streams:
    """The streams that an application counts."""
    streams: Streams = request.app.state.streams
    return streams


@routes.get("/jobs/{job}", responses=told(400, 422))
async def status(
    job: Job,
    service: Served,
    bearer: Reader,
    wait: Annotated[
        float,
        Query(ge=0, le=WAIT_SECONDS, description="Seconds to wait for the job's end, at most."),
    ] = 0.0,
    position: Position = None,
) -> JobAnswer:
    """Everything that is known of a job; with `wait`, once it has ended or that time is over."""
    if position is not None:
        await service.client.reach(service.places(position))
    found = await seen(service, bearer, JobId(job))
    if wait and found.state not in ENDED:
        found = await _waited(service, found, wait)
    return _answer(found)


@routes.get("/jobs/{job}/events", responses={**_EVENTS, **told(422, 429)})
async def events(
    job: Job,
    service: Served,
    bearer: Reader,
    streams: Annotated[Streams, Depends(streams_of)],
    last: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="What was read last.", examples=["1.0.2"]),
    ] = None,
) -> Response:
    """What happens to a job, as it happens, as server-sent events, until it has ended."""
    found = await seen(service, bearer, JobId(job))
    read = parse_place(last)
    places = [place for one in found.history if (place := place_of(one)) is not None]
    if last is not None and found.state in ENDED and places and read >= max(places):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    streams.check(bearer.subject)

    async def body() -> AsyncIterator[str]:
        following, clock, closing = service.following, service.clock, service.closing
        with streams.one(bearer.subject):
            async for event in told_of(following, found, read, clock, closing):
                yield event

    return StreamingResponse(body(), media_type="text/event-stream")


@routes.get("/jobs/{job}/explanation", responses=told(422))
async def explanation(job: Job, service: Served, bearer: Reader) -> ExplanationAnswer:
    """Why a job stays where it is: the one thing that keeps it."""
    found = await seen(service, bearer, JobId(job))
    why = await service.client.explain(found.job_id)
    details = {
        name: finite(value) if isinstance(value, float) else value
        for name, value in why.details.items()
    }
    return ExplanationAnswer(id=why.job_id, cause=why.cause, sentence=why.sentence, details=details)


@routes.get("/jobs/{job}/payload", responses=told(422))
async def payload(job: Job, service: Served, bearer: Reader) -> PayloadAnswer:
    """What was submitted; apart from the status, since it may hold what not all should see."""
    found = await seen(service, bearer, JobId(job))
    record = await service.submissions.newest(found.job_id)
    if record is None:
        raise unavailable("Its submission is not in the history yet; ask again.")
    return PayloadAnswer(generation=record.generation, payload=parsed(record.payload))


@routes.post("/jobs/{job}/cancel", responses=told(409, 422))
async def cancel(
    job: Job, asked: ReasonBody, service: Served, bearer: Operating
) -> CancellationAnswer:
    """End a job that has not ended; one that has stays what it is, and the answer says so."""
    found = await seen(service, bearer, JobId(job))
    done = await service.client.cancel(found.job_id, by=bearer.subject, because=asked.because)
    return CancellationAnswer(
        job=done.job, generation=done.generation, was=done.was, now=done.now, ours=done.ours
    )


async def seen(service: Service, bearer: Bearer, job: JobId) -> JobStatus:
    """A job that the bearer may see; what is another's is as if it were not there.

    Then a job that nobody has is asked for too: the time tells no more than the answer.
    """
    try:
        status = await _named(service, bearer, job)
        if bearer.sees(status.tenant):
            return status
        await service.client.status(new_id())
    except JobNotFound:
        pass
    except Unavailable as why:
        raise (why if bearer.everywhere else unavailable(BEHIND)) from None
    raise nowhere()


async def _named(service: Service, bearer: Bearer, job: JobId) -> JobStatus:
    """A job whose tenant is known: what runs is sometimes known before what it is."""
    clock = service.clock
    deadline = clock.monotonic() + NAMELESS_SECONDS
    while not (status := await service.client.status(job)).type and not bearer.everywhere:
        if _is_named(status):
            break
        if clock.monotonic() > deadline:
            raise Unavailable(BEHIND)
        await clock.sleep(ASK_AGAIN)
    return status


def _is_named(status: JobStatus) -> bool:
    """Whether its tenant stands: a record that could not be decoded has no type either."""
    return bool(status.entity)


async def _waited(service: Service, status: JobStatus, seconds: float) -> JobStatus:
    """The job once it has ended, or so many seconds later."""
    clock, closing = service.clock, service.closing
    deadline = clock.monotonic() + seconds
    async with service.following.follow(status) as followed:
        while status.state not in ENDED and not closing.is_set():
            left = deadline - clock.monotonic()
            if left <= 0:
                break
            status = await changed(followed, status, left, closing)
    return status


def _answer(status: JobStatus) -> JobAnswer:
    return JobAnswer.model_validate(as_json(status))


def parsed(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    """What a payload says; the bytes of one that is no JSON, in hexadecimal digits."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return {"bytes": text.hex()}
