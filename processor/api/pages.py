"""Which pages are there? Files without a build step, that ask the API for what they show.

They hold no data, so that they need no token: their scripts send one with each request.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from processor.api.problems import nowhere

FOLDER: Final = Path(__file__).parent / "static"
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_REVALIDATED: Final = {"Cache-Control": "no-cache"}
_FILES: Final = frozenset(
    {
        "asking.js",
        "building.js",
        "frame.js",
        "job.js",
        "letters.js",
        "mark.svg",
        "overview.js",
        "plan.js",
        "style.css",
    }
)
"""What belongs to pages."""


def is_page(path: str) -> bool:
    """Whether a path is a page's or belongs to one."""
    return not path.startswith("/v1/") and path != "/metrics"


def pages() -> APIRouter:
    """The pages, and what belongs to them."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def overview() -> Response:
        return await _page("overview")

    @routes.get("/jobs/{job}")
    async def job(job: str) -> Response:  # noqa: ARG001 - the page's script reads it
        return await _page("job")

    @routes.get("/dead-letters")
    async def letters() -> Response:
        return await _page("letters")

    @routes.get("/plans/{plan}")
    async def plan(plan: str) -> Response:  # noqa: ARG001 - the page's script reads it
        return await _page("plan")

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in _FILES:
            raise nowhere()
        file = FOLDER / name
        return await _told(file, _KINDS[file.suffix])

    return routes


async def _page(name: str) -> Response:
    return await _told(FOLDER / f"{name}.html", "text/html; charset=utf-8")


async def _told(file: Path, kind: str) -> Response:
    """A file whole: whoever asks for a range of so little gets all of it."""
    return Response(await asyncio.to_thread(file.read_bytes), 200, _REVALIDATED, kind)
