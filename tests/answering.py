"""How do tests reach `processor api`, a process of its own?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from subprocess import Popen
from typing import Any

import httpx

from tests.commands import Commands

SECONDS = 60.0


@dataclass
class Api:
    """One that answers."""

    url: str
    http: httpx.AsyncClient
    process: Popen[bytes]

    async def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - any JSON
        answer = await self.http.post(path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def when(self, path: str, reached: Callable[[Any], object]) -> Any:  # noqa: ANN401 - any JSON
        """What is answered as soon as that is so of it."""
        async with asyncio.timeout(SECONDS):
            while not reached(found := await self.get(path)):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        return found

    async def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        answer = await self.http.get(path)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def events(self, path: str, last: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Server-sent events as they come."""
        headers = {} if last is None else {"Last-Event-ID": last}
        async with self.http.stream("GET", path, headers=headers) as answer:
            event: dict[str, Any] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if line and name:
                    event[name] = json.loads(value) if name == "data" else value
                elif not line:
                    if "data" in event:
                        yield event
                    event = {}

    async def stop(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, SECONDS)


@contextlib.asynccontextmanager
async def answering(run: Commands, *options: str, token: str | None = None) -> AsyncIterator[Api]:
    """`processor api` on a free port, as soon as it answers."""
    log = run.folder / "api.log"
    seen = log.stat().st_size if log.exists() else 0
    with contextlib.ExitStack() as held:
        process = held.enter_context(run.serving("api", "--port", "0", *options))
        url = await _told(process, run, seen)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=SECONDS) as http:
            yield Api(url, http, process)


async def _told(process: Popen[bytes], run: Commands, seen: int) -> str:
    async with asyncio.timeout(SECONDS):
        while True:
            said = (run.folder / "api.log").read_text()[seen:]
            if found := re.search(r"are at (http://\S+)\n", said):
                return found[1]
            assert process.poll() is None, said
            await asyncio.sleep(0.02)
