"""What does the API say of itself? OpenAPI, with every problem of every route."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from processor.api.problems import MEDIA_TYPE, NOWHERE, ProblemAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

VERSION: Final = "1"
_REFERENCE: Final = "#/components/schemas/ProblemAnswer"
_SAID: Final = {
    400: ("What was sent cannot be read.", "The body is no JSON."),
    401: ("There is no token, or a wrong one.", "There is no such token, or it has expired."),
    403: ("The token does not go so far.", "This needs the scope operate."),
    404: ("There is nothing here that this token may see.", NOWHERE),
    405: ("This cannot be done here.", "Method Not Allowed"),
    409: ("It went on since.", "dead letter 01… was replayed by ada"),
    413: ("More than the limits allow.", "The body has more than 4,194,304 bytes."),
    415: ("The body is not application/json.", "The body is not application/json."),
    421: ("The Host is none of ours.", "This listens on a loopback address."),
    422: ("Something does not fit.", "Something does not fit; fields tell what."),
    429: ("Too many are open.", "Too many streams are open; close one."),
    500: ("Something broke here.", "Something went wrong here, and is logged."),
    503: ("The broker or the database does not answer.", "PostgreSQL does not answer."),
}
_ALWAYS: Final = (401, 403, 405, 421, 500, 503)
"""What every route may answer."""
_DESCRIPTION: Final = """
Jobs on Apache Kafka and PostgreSQL: submit them, learn what became of them and why they wait,
cancel them, and operate what failed for good. Single jobs are asked for by their id; there is no
list of jobs.

A job's tenant is its token's. What belongs to another tenant and what does not exist are the same
404, byte for byte. Every error is a problem of RFC 9457.
"""


def told(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with."""
    return {code: _problem(code) for code in codes}


def describe(app: FastAPI) -> None:
    """Let the application tell of itself so."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_described(app))
        return made

    # FastAPI's own way to change what it says is to put another function there.
    setattr(app, "openapi", openapi)  # noqa: B010 - mypy forbids to assign a method


def _described(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title="Jobs",
        version=VERSION,
        description=_DESCRIPTION.strip(),
        routes=app.routes,
    )
    _, schemas = models_json_schema(
        [(ProblemAnswer, "serialization")], ref_template="#/components/schemas/{model}"
    )
    parts = found.setdefault("components", {})
    known = parts.setdefault("schemas", {})
    known.update(schemas["$defs"])
    for gone in ("HTTPValidationError", "ValidationError"):
        known.pop(gone, None)
    parts["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "None is needed where the API listens on loopback without a token file.",
        }
    }
    for path, item in found["paths"].items():
        for operation in item.values():
            _complete(path, operation)
    return found


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for code in _ALWAYS:
        responses.setdefault(str(code), _problem(code))
    if "{" in path:
        responses.setdefault("404", _problem(404))
    if "requestBody" in operation:
        for code in (400, 413, 415, 422):
            responses.setdefault(str(code), _problem(code))
    for code, response in responses.items():
        if int(code) >= HTTPStatus.BAD_REQUEST:
            response.setdefault("content", _problem(int(code))["content"])
            response["content"].pop("application/json", None)
    if path.startswith("/v1/"):
        operation["security"] = [{"token": []}, {}]


def _problem(code: int) -> dict[str, Any]:
    description, detail = _SAID[code]
    example: Mapping[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": detail,
    }
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE}, "example": example}},
    }
