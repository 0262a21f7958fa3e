"""How does a test run a worker, a projector and a client inside itself, and wait for a job?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from processor import Client, JobId, Jobs, JobStatus, Settings, testing
from processor.domain.selection import Selection
from tests.commands import Commands, Ended


def working(settings: Settings, jobs: Jobs) -> AbstractAsyncContextManager[Client]:
    """A client beside a worker and a projector, which are gone after the block."""
    return testing.working(jobs, settings)


async def when(
    client: Client, job: JobId, reached: Callable[[JobStatus], object], seconds: float = 60
) -> JobStatus:
    """A job's status as soon as that is so of it."""
    async with asyncio.timeout(seconds):
        while not reached(status := await client.status(job)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    return status


async def dead(client: Client, selection: Selection, jobs: int, generation: int = 1) -> None:
    """Wait until so many letters are open there, and all of them of that generation."""
    async with asyncio.timeout(60):
        while True:
            found = [one.died.generation async for one in client.dead_letters.open(selection)]
            if found == [generation] * jobs:
                return
            await asyncio.sleep(0.05)


async def command(run: Commands, *words: str) -> Ended:
    """A command, while the test's own loop goes on."""
    return await asyncio.to_thread(run, *words)


async def told(run: Commands, *words: str) -> list[Any]:
    """What a command says in JSON, line by line."""
    ended = await command(run, *words, "--json")
    assert ended.code == 0, ended
    try:
        return [json.loads(line) for line in ended.out.splitlines()]
    except json.JSONDecodeError:
        return [json.loads(ended.out)]
