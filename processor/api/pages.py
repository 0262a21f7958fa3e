"""Which pages are there? Files without a build step, that ask the API for what they show.

They hold no data, so that they need no token: their scripts send one with each request.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from string import Template
from textwrap import indent
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
_TITLES: Final = {
    "overview": "Jobs",
    "job": "Job",
    "letters": "Dead letters",
    "plan": "A plan",
}
_SECTIONS: Final = {"overview": "overview", "letters": "letters", "plan": "letters"}
"""The section that a page stands in, as its head shows."""
_HERE: Final = ' aria-current="page"'


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
        return _told(await asyncio.to_thread(file.read_bytes), _KINDS[file.suffix])

    return routes


async def _page(name: str) -> Response:
    return _told(await asyncio.to_thread(_framed, name), "text/html; charset=utf-8")


def _framed(name: str) -> bytes:
    """What a page holds, in the frame that all of them share."""
    frame = Template((FOLDER / "frame.html").read_text())
    content = (FOLDER / f"{name}.html").read_text()
    here = {"overview": "", "letters": ""}
    if section := _SECTIONS.get(name):
        here[section] = _HERE
    return frame.substitute(
        name=name, title=_TITLES[name], content=indent(content, " " * 6), **here
    ).encode()


def _told(content: bytes, kind: str) -> Response:
    """A file whole: whoever asks for a range of so little gets all of it."""
    return Response(content, 200, _REVALIDATED, kind)
