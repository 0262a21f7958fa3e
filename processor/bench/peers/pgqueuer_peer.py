"""How does pgqueuer do the work?

Batches of 100. Where the handler waits for the database at most 200 jobs are taken at once, where
it does nothing there is no bound: of both ways the faster one. Its worker parses no payload where
the handler needs none.

Run as a program it is the worker: until the queue is empty, or until SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from pgqueuer import run as run_worker
from pgqueuer.types import QueueExecutionMode
from pydantic_core import to_json

from processor.bench.application import CLOCK, NOTHING, RAW
from processor.bench.work import INSERT, Errand, entity, payload

if TYPE_CHECKING:
    from processor.bench.work import Workload
    from processor.settings import Settings

BATCH: Final = 100
CAP: Final = 200
CONNECTIONS: Final = 16
AT_ONCE: Final = 10_000
URGENT: Final = 100

LASTED: Final = """
SELECT extract(epoch FROM max(created) FILTER (WHERE status = 'successful')
    - min(created) FILTER (WHERE status = 'picked'))::float8
FROM pgqueuer_log
"""
ENDED: Final = """
SELECT count(*) FROM pgqueuer_log
WHERE status = 'successful' AND entrypoint = $1
    AND created BETWEEN to_timestamp($2) AND to_timestamp($3)
"""


class PgQueuerPeer:
    """Implements `processor.bench.peers.peer.Peer`."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        self._queries = Queries(AsyncpgDriver(connection))

    async def prepare(self) -> None:
        """See `Peer`."""
        await self._queries.install()

    async def submit(self, workload: Workload, jobs: int) -> None:
        """See `Peer`."""
        numbers = iter(range(jobs))
        while batch := list(islice(numbers, AT_ONCE)):
            payloads = [to_json(payload(number)) for number in batch]
            await self._queries.enqueue([workload.type] * len(batch), payloads, [0] * len(batch))

    async def submit_one(self, workload: Workload, number: int, *, urgent: bool) -> None:
        """See `Peer`."""
        sent = to_json(payload(number, time.time_ns()))
        await self._queries.enqueue(workload.type, sent, URGENT if urgent else 0)

    async def analyze(self) -> None:
        """See `Peer`."""
        await self._connection.execute("VACUUM ANALYZE pgqueuer")
        await self._connection.execute("VACUUM ANALYZE pgqueuer_log")

    async def begun(self) -> int:
        """See `Peer`."""
        look = "SELECT count(*) FROM (SELECT FROM pgqueuer WHERE status = 'picked' LIMIT 1) AS one"
        found: int = await self._connection.fetchval(look)
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
async def connected(settings: Settings) -> AsyncIterator[PgQueuerPeer]:
    """On a connection of its own."""
    connection = await asyncpg.connect(settings.need_database())
    try:
        yield PgQueuerPeer(connection)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def application(url: str, waits: Path) -> AsyncIterator[PgQueuer]:
    """The handlers; at the end how long each of CLOCK's jobs waited goes to a file."""
    waited: list[int] = []
    connection = await asyncpg.connect(url)
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        queuer = PgQueuer(AsyncpgDriver(connection))
        queuer.entrypoint(NOTHING.type)(nothing)
        queuer.entrypoint(RAW.type)(partial(raw, pool))
        queuer.entrypoint(CLOCK.type)(partial(clock, waited))
        yield queuer
    await asyncio.to_thread(waits.write_text, "\n".join(map(str, waited)))
    await connection.close()


async def nothing(job: Job) -> None:
    """Do nothing."""


async def raw(pool: asyncpg.Pool[Any], job: Job) -> None:
    """Insert one row."""
    errand = Errand.model_validate_json(job.payload or b"")
    row = UUID(int=job.id), entity(errand.number), errand.number, errand.note
    await pool.execute(INSERT, *row)


async def clock(waited: list[int], job: Job) -> None:
    """Note how many nanoseconds ago it was submitted."""
    now = time.time_ns()
    waited.append(now - Errand.model_validate_json(job.payload or b"").sent)


async def work(manner: str, type_: str, waits: Path) -> None:
    """Be the worker."""
    await run_worker(
        lambda: application(os.environ["JOBS_DATABASE"], waits),
        batch_size=BATCH,
        max_concurrent_tasks=CAP if type_ == RAW.type else None,
        mode=QueueExecutionMode.drain if manner == "drain" else QueueExecutionMode.continuous,
    )


if __name__ == "__main__":
    from uvloop import run

    from processor.staging.tethered import tether

    tether()
    run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
