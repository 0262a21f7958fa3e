"""How are jobs submitted over HTTP?"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response

from processor.api.answers import Appended, BatchAppended
from processor.api.asked import BatchBody, SubmissionBody
from processor.api.description import told
from processor.api.positions import HEADER
from processor.api.positions import told as position
from processor.api.problems import Problem
from processor.api.service import Served, Submitting
from processor.api.tokens import Bearer
from processor.bootstrap.producing import Client
from processor.domain.ids import JobId
from processor.domain.limits import NAME_BYTES, TEXT_BYTES
from processor.domain.priority import Priority
from processor.domain.submission import Caller
from processor.runtime.submission import Submission, new_id

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_POSITION: Final = {
    "headers": {
        HEADER: {
            "description": "Where the log stands now; hand it in with a question to have it"
            " answered once the history has come so far.",
            "schema": {"type": "string"},
            "example": "normal.3=1235",
        }
    }
}

routes = APIRouter(tags=["jobs"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=NAME_BYTES,
        description="The dedupe key: the same key of the same tenant, type and entity is the same"
        " job, and runs once. Of a batch each submission has this key and its number.",
        examples=["UA1714-2013-01-01"],
    ),
]


@routes.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    responses={HTTPStatus.ACCEPTED: _POSITION, **told(400, 413, 422, 503)},
)
async def submit(
    asked: SubmissionBody,
    request: Request,
    response: Response,
    service: Served,
    bearer: Submitting,
    key: Key = None,
) -> Appended:
    """Submit one job; answered once the log has acknowledged it."""
    submission = _submission(
        asked, bearer, _caller(request, bearer), _key_of(asked, _unquoted(key))
    )
    job = await service.client.submit(submission)
    _place(response, service.client, [job])
    return Appended(id=job)


@routes.post(
    "/batches",
    status_code=HTTPStatus.ACCEPTED,
    responses={HTTPStatus.ACCEPTED: _POSITION, **told(400, 413, 422, 503)},
)
async def submit_many(
    asked: BatchBody,
    request: Request,
    response: Response,
    service: Served,
    bearer: Submitting,
    key: Key = None,
) -> BatchAppended:
    """Submit many jobs; the ids are in the order of the submissions."""
    caller, batch = _caller(request, bearer), new_id()
    root = _unquoted(key)
    submissions = [
        _submission(one, bearer, caller, one.dedupe_key or (root and f"{root}/{number}"))
        for number, one in enumerate(asked.submissions)
    ]
    lane = None if asked.priority is None else Priority.parse(asked.priority)
    ids = await service.client.submit(submissions, priority=lane, batch=batch)
    _place(response, service.client, ids)
    return BatchAppended(batch=batch, ids=list(ids))


def _submission(
    asked: SubmissionBody, bearer: Bearer, caller: Caller, key: str | None
) -> Submission:
    return Submission(
        asked.type,
        asked.payload,
        entity=asked.entity,
        priority=None if asked.priority is None else Priority.parse(asked.priority),
        dedupe_key=key,
        not_before=asked.not_before,
        attempts=asked.attempts,
        tenant=bearer.tenant,
        caller=caller,
    )


def _key_of(asked: SubmissionBody, key: str | None) -> str | None:
    if key is not None and asked.dedupe_key not in {None, key}:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Idempotency-Key and dedupe_key are two names of one thing, and differ.",
        )
    return asked.dedupe_key or key


def _caller(request: Request, bearer: Bearer) -> Caller:
    """Who asked, as the request says; what is too long for a record is cut."""
    agent = request.headers.get("user-agent")
    named = request.headers.get("x-request-id")
    return Caller(
        user=bearer.subject,
        request_id=_cut(named, NAME_BYTES),
        ip=None if request.client is None else _cut(request.client.host, NAME_BYTES),
        user_agent=_cut(agent, TEXT_BYTES),
    )


def _cut(text: str | None, size: int) -> str | None:
    """As much of a header as fits into so many bytes; None where nothing is left."""
    if text is None:
        return None
    plain = text.replace("\0", "").encode(errors="replace")[:size]
    return plain.decode(errors="ignore") or None


def _unquoted(key: str | None) -> str | None:
    """The key, as a structured field has it, or bare as most senders do."""
    if not key:
        return None
    quoted = _QUOTED.fullmatch(key)
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else key


def _place(response: Response, client: Client, jobs: list[JobId]) -> None:
    places = [one for job in jobs if (one := client.acknowledged(job)) is not None]
    if places:
        response.headers[HEADER] = position(places)
