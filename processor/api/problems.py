"""What does a request get that cannot be answered? RFC 9457, the same bytes for the same reason.

A detail never says whether something is there that the caller may not see: what belongs to another
tenant and what does not exist are one answer.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from processor.domain import errors
from processor.ports.ledger import Fault
from processor.ports.log import LogCut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request
    from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
NOWHERE: Final = "There is nothing here, or nothing that you may see."
SHOWN: Final = 200
"""Characters of what is wrong with a field."""
FIELDS: Final = 20
"""Of the fields that do not fit the first are told."""


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that is answered with a problem instead."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 - members of the problem's own
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        """As it goes over the wire."""
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            **self.more,
        }
        return JSONResponse(body, self.status.value, self.headers, MEDIA_TYPE)


class FieldProblem(BaseModel):
    """One field that does not fit; its value is not repeated."""

    path: str
    said: str


class ProblemAnswer(BaseModel):
    """Problem details, RFC 9457."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=[NOWHERE])
    fields: list[FieldProblem] | None = None
    """Which fields do not fit."""
    found: int | None = None
    """How many dead letters a plan that was refused would have had."""
    unknown: dict[str, str] | None = None
    """Job ids that are not known to be submitted, and why."""


def nowhere() -> Problem:
    """What does not exist, and what is another's: the same, byte for byte."""
    return Problem(HTTPStatus.NOT_FOUND, NOWHERE)


def unavailable(detail: str, **more: Any) -> Problem:  # noqa: ANN401 - members of the problem's own
    """Something that is needed does not answer: the request may be sent again."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers, **more)


def answer_problems(app: FastAPI) -> None:
    """Let every error of the application become a problem."""

    def answered(_: Request, error: Exception) -> Response:
        return problem_of(error).response()

    for kind in (Problem, errors.ProcessorError, Fault, LogCut, HTTPException):
        app.add_exception_handler(kind, answered)
    app.add_exception_handler(RequestValidationError, answered)


def problem_of(error: Exception) -> Problem:
    """The problem that an error of ours, or of the framework, is."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _unfit(error.errors())
        case HTTPException(status_code=code):
            return _of_framework(code, error)
        case errors.ProcessorError() | Fault() | LogCut():
            return _of_ours(error)
        case _:
            broken = HTTPStatus.INTERNAL_SERVER_ERROR
            return Problem(broken, "Something went wrong here, and is logged.")


def _of_ours(error: Exception) -> Problem:  # noqa: PLR0911 - one case an error
    match error:
        case errors.JobNotFound() | errors.DeadLetterNotFound() | errors.PlanNotFound():
            return nowhere()
        case errors.SubmissionTooLarge():
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _line(error))
        case errors.InvalidSubmission():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _line(error))
        case errors.SubmitError():
            unknown = {str(job): why for job, why in error.unknown.items()}
            return unavailable(_line(error), unknown=unknown)
        case errors.ParseError():
            fields = [{"path": one, "said": "it does not fit"} for one in error.fields]
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _line(error), fields=fields)
        case errors.PlanRefused():
            return Problem(HTTPStatus.CONFLICT, _line(error), found=error.found)
        case errors.AlreadyFinished():
            return Problem(HTTPStatus.CONFLICT, _line(error))
        case _:
            return unavailable(_line(error))


def _of_framework(code: int, error: HTTPException) -> Problem:
    status = HTTPStatus(code)
    if status is HTTPStatus.NOT_FOUND:
        return nowhere()
    return Problem(status, str(error.detail), headers=error.headers)


def _unfit(found: Sequence[Any]) -> Problem:
    """Which fields do not fit, without a value of any."""
    fields = [
        {"path": _path(one["loc"]), "said": _plain(str(one["msg"]))[:SHOWN]}
        for one in found[:FIELDS]
    ]
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(HTTPStatus.BAD_REQUEST, "The body is no JSON.")
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "Something does not fit; fields tell what.", fields=fields
    )


def _path(parts: Sequence[object]) -> str:
    return _plain(".".join(str(part) for part in parts))[:SHOWN]


def _line(error: Exception) -> str:
    return _plain((str(error).splitlines() or [type(error).__name__])[0])


def _plain(text: str) -> str:
    """Text that can be written as UTF-8, whatever somebody sent."""
    return text.encode(errors="backslashreplace").decode()


def finite(number: float) -> float | None:
    """A number that JSON has; None for one that it has not."""
    return number if math.isfinite(number) else None
