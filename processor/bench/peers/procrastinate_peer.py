"""How does procrastinate do the work?

20 at once: more makes no difference, it fetches and finishes one job at a time. Its worker checks
no payload where the handler needs none.

Run as a program it is the worker: until the queue is empty, or until SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
from procrastinate import App, PsycopgConnector

from processor.bench.application import CLOCK, NOTHING, RAW
from processor.bench.work import INSERT, Errand, entity, payload

if TYPE_CHECKING:
    from processor.bench.work import Workload
    from processor.settings import Settings

AT_ONCE: Final = 20
CONNECTIONS: Final = 16
BATCH: Final = 1_000
URGENT: Final = 100

BEGUN: Final = """
SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'doing' LIMIT 1) AS one
"""
LASTED: Final = """
SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded')
    - min(at) FILTER (WHERE type = 'started'))::float8
FROM procrastinate_events
"""
ENDED: Final = """
SELECT count(*) FROM procrastinate_events AS event
JOIN procrastinate_jobs AS job ON job.id = event.job_id
WHERE event.type = 'succeeded' AND job.task_name = $1
    AND event.at BETWEEN to_timestamp($2) AND to_timestamp($3)
"""


class ProcrastinatePeer:
    """Implements `processor.bench.peers.peer.Peer`."""

    def __init__(self, app: App, connection: asyncpg.Connection[Any]) -> None:
        self._app = app
        self._connection = connection

    async def prepare(self) -> None:
        """See `Peer`."""
        await self._app.schema_manager.apply_schema_async()

    async def submit(self, workload: Workload, jobs: int) -> None:
        """See `Peer`."""
        task, numbers = self._app.configure_task(workload.type, priority=0), iter(range(jobs))
        while batch := list(islice(numbers, BATCH)):
            await task.batch_defer_async(*(payload(number) for number in batch))

    async def submit_one(self, workload: Workload, number: int, *, urgent: bool) -> None:
        """See `Peer`."""
        task = self._app.configure_task(workload.type, priority=URGENT if urgent else 0)
        await task.defer_async(**payload(number, time.time_ns()))

    async def analyze(self) -> None:
        """See `Peer`."""
        await self._connection.execute("VACUUM ANALYZE procrastinate_jobs")
        await self._connection.execute("VACUUM ANALYZE procrastinate_events")

    async def begun(self) -> int:
        """See `Peer`."""
        found: int = await self._connection.fetchval(BEGUN)
        return found

    async def lasted(self) -> float:
        """See `Peer`."""
        seconds: float = await self._connection.fetchval(LASTED)
        return seconds

    async def ended(self, workload: Workload, since: float, until: float) -> int:
        """See `Peer`."""
        found: int = await self._connection.fetchval(ENDED, workload.type, since, until)
        return found


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[ProcrastinatePeer]:
    """On connections of its own."""
    url = settings.need_database()
    connection = await asyncpg.connect(url)
    try:
        async with App(connector=PsycopgConnector(conninfo=url)).open_async() as app:
            yield ProcrastinatePeer(app, connection)
    finally:
        await connection.close()


def application(url: str, pool: asyncpg.Pool[Any], waited: list[int]) -> App:
    """The handlers; how long each of CLOCK's jobs waited goes into `waited`."""
    app = App(connector=PsycopgConnector(conninfo=url))

    async def nothing(**_: object) -> None:
        """Do nothing."""

    async def raw(context: Any, **fields: Any) -> None:  # noqa: ANN401 - the peer's own
        errand = Errand.model_validate(fields)
        row = UUID(int=context.job.id), entity(errand.number), errand.number, errand.note
        await pool.execute(INSERT, *row)

    async def clock(**fields: Any) -> None:  # noqa: ANN401 - the same
        now = time.time_ns()
        waited.append(now - Errand.model_validate(fields).sent)

    app.task(nothing, name=NOTHING.type)
    app.task(raw, name=RAW.type, pass_context=True)
    app.task(clock, name=CLOCK.type)
    return app


async def work(manner: str, waits: Path) -> None:
    """Be the worker."""
    url, waited = os.environ["JOBS_DATABASE"], list[int]()
    async with (
        asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
        application(url, pool, waited).open_async() as app,
    ):
        await app.run_worker_async(concurrency=AT_ONCE, wait=manner != "drain")
    await asyncio.to_thread(waits.write_text, "\n".join(map(str, waited)))


if __name__ == "__main__":
    from uvloop import run

    from processor.staging.tethered import tether

    tether()
    run(work(sys.argv[1], Path(sys.argv[3])))
