"""How is one request after the other sent to the API, in memory and as bytes?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID

from processor import Jobs, Reject, Request
from processor.domain.ids import JobId, dead_letter_id
from processor.ports.holds import HoldKind
from processor.testing.virtual_time import VirtualTimeLoop
from tests.site import Site


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("rejects")
    async def rejects(request: Request[Any]) -> None:
        raise Reject("it cannot be")

    @jobs.handler("waits")
    async def waits(request: Request[Any]) -> int:
        return 1

    return jobs


class Sent(NamedTuple):
    """One request."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Door:
    """The application in memory, to which one request after the other is sent."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._over = asyncio.Event()
        self._ready = asyncio.Event()
        self._site = Site(application())
        self.described: Mapping[str, Any] = {}
        self.names: list[str] = []

    def open(self) -> None:
        self._runner.run(self._opened())
        self.described = self._site.app.openapi()["paths"]

    def openapi(self) -> dict[str, Any]:
        return self._site.app.openapi()

    def close(self) -> None:
        self._runner.run(self._closed())
        self._runner.close()

    def ask(self, sent: Sent) -> Answered:
        return self._runner.run(self._asked(sent))

    async def _opened(self) -> None:
        self._living = asyncio.create_task(self._live())
        await self._ready.wait()

    async def _live(self) -> None:
        async with self._site as site:
            await site.hold(HoldKind.TYPE, "waits")
            for type_ in ("rejects", "waits"):
                answer = await site.post("/v1/jobs", {"type": type_, "entity": type_})
                self.names.append(answer.json()["id"])
            await site.settled()
            self.names += [str(one.died.id) for one in site.dead_letters]
            nobodys = JobId(UUID(int=1))
            self.names += [str(nobodys), str(dead_letter_id(nobodys, 1))]
            self._ready.set()
            await self._over.wait()

    async def _closed(self) -> None:
        self._over.set()
        await self._living

    async def _asked(self, sent: Sent) -> Answered:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": sent.method,
            "scheme": "http",
            "path": unquote(sent.path.decode("latin-1")),
            "raw_path": sent.path,
            "query_string": sent.query,
            "root_path": "",
            "headers": sent.headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        }
        given = False
        told: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                await gone.wait()
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": sent.body, "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
            told.append(message)

        closing = self._site.service.closing
        if sent.path != b"/ready":
            closing.set()  # nobody waits for what nobody does
        await self._site.app(scope, receive, send)
        closing.clear()
        headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        body = b"".join(one.get("body", b"") for one in told[1:])
        return Answered(told[0]["status"], headers, body)
