"""Does it live, is it ready, and how does it do? For whoever starts, routes and watches it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from processor.api.answers import Answer
from processor.api.description import told
from processor.api.service import Overseeing, Served

OPEN: Final = frozenset({"/live", "/ready"})
"""What needs no token."""
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The text format of Prometheus.",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "http_server_active_requests 1\n",
            }
        },
    }
}

routes = APIRouter(tags=["health"])


class HealthAnswer(Answer):
    """Whether it does as it should, and why not."""

    ok: bool
    reasons: list[str]


@routes.get("/live", responses={503: {"model": HealthAnswer, "description": "Start it anew."}})
async def live(service: Served, response: Response) -> HealthAnswer:
    """Whether the loop turns and, where a worker runs here, its membership beats.

    Never asks the database or the broker: that one of them is away is cured by no restart.
    """
    return _answer(list(service.alive()), response)


@routes.get("/ready", responses={503: {"model": HealthAnswer, "description": "Not now."}})
async def ready(service: Served, response: Response) -> HealthAnswer:
    """Whether the database and the broker answer; asked once a second at most."""
    if service.closing.is_set():
        return _answer(["it ends"], response)
    return _answer(list(await service.ready()), response)


@routes.get("/metrics", response_class=PlainTextResponse, responses={**_METRICS, **told(403)})
async def metrics(service: Served, _: Overseeing) -> PlainTextResponse:
    """What this process counts and measures."""
    return PlainTextResponse(service.metrics(), media_type=EXPOSITION)


def _answer(reasons: list[str], response: Response) -> HealthAnswer:
    if reasons:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return HealthAnswer(ok=not reasons, reasons=reasons)
