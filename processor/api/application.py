"""What is the HTTP application made of?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from processor.api import auditing, health, holds, jobs, letters, plans, standing, submitting
from processor.api.description import VERSION, describe
from processor.api.guarding import Asked, Bounded, FromHere, Headed, Unbroken
from processor.api.measuring import Measured
from processor.api.pages import is_page, pages
from processor.api.problems import answer_problems
from processor.api.streaming import Streams

if TYPE_CHECKING:
    from processor.api.service import Service
    from processor.api.tokens import Tokens


def application(service: Service, tokens: Tokens | None, *, only_loopback: bool) -> FastAPI:
    """The API and its pages over a service.

    Without `tokens` whoever reaches it may do everything; then, and only then, `only_loopback` has
    it refuse every Host that is no loopback name.
    """
    app = FastAPI(
        title="Jobs",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.streams = Streams()
    app.include_router(health.routes)
    version = APIRouter(prefix="/v1")
    for part in (submitting, jobs, standing, letters, plans, holds, auditing):
        version.include_router(part.routes)
    app.include_router(version)
    app.include_router(pages())

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    answer_problems(app)
    describe(app)
    # The last one added is the outermost.
    app.add_middleware(Bounded)
    app.add_middleware(Asked, tokens=tokens, is_open=is_open)
    app.add_middleware(FromHere, only_loopback=only_loopback and tokens is None)
    app.add_middleware(Measured, clock=time.perf_counter)
    app.add_middleware(Unbroken, translated=service.translated)
    app.add_middleware(Headed)
    return app


def is_open(path: str) -> bool:
    """Whether a path needs no token: health, and pages, which hold no data."""
    return path in health.OPEN or is_page(path)
