"""Which application kills its own workers?

For `processor worker poison:jobs`. Nothing but the effects of the innocent shows afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import Any, Final

from tenacity import wait_fixed

from processor import Jobs, Request, Retry

TABLES: Final = "CREATE TABLE effect (job uuid NOT NULL); CREATE TABLE let_go ()"
LET_GO: Final = "INSERT INTO let_go DEFAULT VALUES"
EXIT_CODE: Final = 66

jobs = Jobs()


@jobs.handler("innocent", retry=Retry(attempts=1))
async def innocent(request: Request[Any]) -> None:
    connection = await request.connection()
    await connection.execute("INSERT INTO effect VALUES ($1)", request.job_id)


async def poison_at_once(request: Request[Any]) -> None:
    connection = await request.connection()
    await connection.execute("INSERT INTO effect VALUES ($1)", request.job_id)
    os._exit(EXIT_CODE)


jobs.register("poison", poison_at_once, retry=Retry(attempts=1))


@jobs.handler("killed", retry=Retry(attempts=1))
async def killed(request: Request[Any]) -> None:
    """Ends as when the kernel wants its memory."""
    connection = await request.connection()
    await connection.execute("INSERT INTO effect VALUES ($1)", request.job_id)
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.handler("poison when run again", retry=Retry(attempts=3, wait=wait_fixed(0.1)))
async def again(request: Request[Any]) -> None:
    if request.attempt == 1:
        raise RuntimeError("only the second attempt kills")
    await poison_at_once(request)


@jobs.handler("hangs", retry=Retry(attempts=1))
async def hangs(request: Request[Any]) -> None:
    """Swallows that it is stopped, again and again."""
    print("a coroutine hangs", flush=True)  # noqa: T201 - how the test knows
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@jobs.handler("hangs in a thread", retry=Retry(attempts=1))
def hangs_in_a_thread(request: Request[Any]) -> None:
    print("a thread hangs", flush=True)  # noqa: T201
    threading.Event().wait()


@jobs.handler("stays", retry=Retry(attempts=1))
async def stays(request: Request[Any]) -> None:
    """Holds its entity's lock until it is let go, and is never idle for long."""
    connection = await request.connection()
    await connection.execute("INSERT INTO effect VALUES ($1)", request.job_id)
    while not await connection.fetchval("SELECT count(*) FROM let_go"):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
