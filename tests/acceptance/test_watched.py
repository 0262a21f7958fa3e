"""Does a worker whose fetching has died silently say so, and let others go on?"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from processor import Client, Jobs, Priority, Request, Retry, Submission, Worker
from processor.bootstrap.projecting import projecting
from processor.domain.errors import Unavailable
from tests.commands import Commands

pytestmark = pytest.mark.timeout(240)

DIED = "SELECT coalesce(sum(unclean), 0) FROM jobs.ownership"


async def test_a_worker_whose_fetching_has_died_says_so_is_not_ready_and_leaves_its_jobs_to_others(
    ready: Commands,
) -> None:
    jobs, both = Jobs(), Retry(attempts=1)
    begun = asyncio.Event()

    @jobs.handler("stays", retry=both)
    async def stays(request: Request[Any]) -> int:
        begun.set()
        if request.cluster.run == 1 and not died:
            await asyncio.Event().wait()
        return request.attempt

    async def until_it_dies(worker: Worker) -> None:
        async with worker:
            await begun.wait()
            assert worker.readiness() == (True, ())
            end_the_fetching_of(worker, Priority.LOW)
            await asyncio.Event().wait()

    died: list[Worker] = []
    async with projecting(ready.settings), Client.connect(ready.settings) as client:
        worker = Worker(jobs, ready.settings)
        assert worker.readiness() == (False, ("the worker has not started",))
        running = await client.submit(Submission("stays", priority=Priority.HIGH))
        with capture_logs() as lines, pytest.raises(Unavailable, match="it stopped fetching"):
            await until_it_dies(worker)
        died.append(worker)
        ready_, (reason,) = worker.readiness()
        assert not ready_
        assert reason.startswith("the worker has ended: the reader of ")
        assert "a reader has ended" in [line["event"] for line in lines]
        unread = await client.submit(Submission("stays", priority=Priority.LOW))
        async with Worker(jobs, ready.settings):
            results = [await client.result(one, timeout=60) for one in (running, unread)]
        assert results == [1, 1], "the first was no attempt"
    database = await asyncpg.connect(ready.settings.need_database())
    try:
        assert await database.fetchval(DIED) == 0, "no job is suspected"
    finally:
        await database.close()


def end_the_fetching_of(worker: Worker, lane: Priority) -> None:
    """What nobody hears of but who watches the client's own task."""
    runtime = worker._runtime  # noqa: SLF001
    assert runtime is not None
    reader: Any = runtime._fetchers[lane].reader  # noqa: SLF001
    reader._consumer._fetcher._fetch_task.cancel()  # noqa: SLF001
