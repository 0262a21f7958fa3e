"""Which work leaves behind what shows whether the promises held?

An application as its owner would write it, for `processor worker processor.chaos.handlers:jobs`. A
handler writes its effect in its job's transaction: a line of its entity, numbered after the
entity's last one. Two of them at once, or one of them twice, cannot be hidden. Some stop their own
process in the middle, or hold its loop up, as bad handlers do; each once, which a file remembers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from tenacity import wait_fixed

from processor.domain.errors import Reject
from processor.domain.retry import Retry
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission

APPLICATION: Final = "processor.chaos.handlers:jobs"
EFFECT: Final = """
INSERT INTO chaos.effect (entity, seq, job, generation, lane, partition, worker)
SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM chaos.effect WHERE entity = $1
"""
ONCE: Final = Retry(attempts=1)
"""So an attempt that was consumed without need is a job that failed."""
PAUSE: Final = wait_fixed(0.2)
FOLLOW_UPS: Final = 2
MARKS: Final = "marks"
"""In the working folder: which jobs have stopped or held up a process, and which process."""
NAMES: Final = "names"
"""In the working folder: how the effects of each process name its worker."""

jobs = Jobs()


class Work(BaseModel):
    """What a job of any of these types is told."""

    number: int
    seconds: float = 0.0
    """How long the handler takes, within its transaction."""
    fails: int = 0
    """How many attempts fail before one succeeds."""
    before: bool = False
    """Whether it stops its process before its transaction is open, not within it."""


@cache
def say_who(worker: str) -> None:
    """Leave the worker's name where whoever started this process finds it."""
    folder = Path(NAMES)
    if folder.is_dir():
        (folder / str(os.getpid())).write_text(worker, "utf-8")


async def write_effect(request: Request[Work]) -> None:
    """Write the job's line, and take the job's time over it."""
    say_who(request.cluster.worker)
    connection = await request.connection()
    await connection.execute(
        EFFECT,
        request.entity,
        request.job_id,
        request.cluster.generation,
        request.cluster.lane,
        request.cluster.partition,
        request.cluster.worker,
    )
    await asyncio.sleep(request.payload.seconds)


@jobs.handler("effect", retry=ONCE)
async def effect(request: Request[Work]) -> int:
    """Write and complete."""
    await write_effect(request)
    return request.payload.number


@jobs.handler("plain", retry=ONCE)
async def plain(request: Request[Work]) -> int:
    """Complete without a transaction."""
    await asyncio.sleep(request.payload.seconds)
    return request.payload.number


@jobs.handler("outside", retry=ONCE)
async def outside(request: Request[Work]) -> int:
    """Call the outside world first and write after."""
    await asyncio.sleep(request.payload.seconds)
    await write_effect(request)
    return request.payload.number


@jobs.handler("stumbles", retry=Retry(attempts=4, wait=PAUSE), breaker=None)
async def stumbles(request: Request[Work]) -> int:
    """Fail after writing, a few times, and then complete."""
    await write_effect(request)
    if request.attempt <= request.payload.fails:
        raise RuntimeError("it fails after it wrote, and is run again")
    return request.attempt


async def fail_at_first(request: Request[Work]) -> int:
    """Fail for good after writing; complete once replayed."""
    await write_effect(request)
    if request.cluster.generation == 1:
        raise RuntimeError("it fails after it wrote")
    return request.payload.number


# Where every job fails on purpose its breaker would hold them all.
jobs.register("fails", fail_at_first, retry=ONCE, breaker=None)
jobs.register("exhausts", fail_at_first, retry=Retry(attempts=3, wait=PAUSE), breaker=None)
jobs.register("blocks", fail_at_first, retry=Retry(attempts=1, on_exhausted="block"), breaker=None)


@jobs.handler("rejects", retry=Retry(attempts=4, wait=PAUSE), breaker=None)
async def rejects(request: Request[Work]) -> None:
    """Say after writing that another attempt would change nothing."""
    await write_effect(request)
    raise Reject("never")


@jobs.handler("parent", retry=ONCE)
async def parent(request: Request[Work]) -> None:
    """Submit follow-ups of entities of their own."""
    await write_effect(request)
    for number in range(FOLLOW_UPS):
        request.submit(
            Submission("effect", {"number": number}, entity=f"child of {request.entity}")
        )


@jobs.handler("freezes", retry=ONCE)
async def freezes(request: Request[Work]) -> None:
    """Stop the whole process, before the transaction is open or within it, until it is woken."""
    if request.payload.before and first_time(request):
        os.kill(os.getpid(), signal.SIGSTOP)
    await write_effect(request)
    if not request.payload.before and first_time(request):
        os.kill(os.getpid(), signal.SIGSTOP)


@jobs.handler("stalls", retry=ONCE)
async def stalls(request: Request[Work]) -> None:
    """Hold up the loop of the whole process, as a blocking call does."""
    if first_time(request):
        time.sleep(request.payload.seconds)  # noqa: ASYNC251 - that is what it is for
    request.payload.seconds = 0
    await write_effect(request)


def first_time(request: Request[Work]) -> bool:
    """Whether no process has come here with this job before."""
    folder = Path(MARKS)
    folder.mkdir(exist_ok=True)
    try:
        with (folder / str(request.job_id)).open("x") as mark:
            mark.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


WRITING: Final = ("effect", "outside", "stumbles", "fails", "exhausts", "blocks", "parent")
"""The types whose jobs leave an effect when they are complete; with those that stop or stall."""
SPOILING: Final = ("freezes", "stalls")
NEVER_FAILING: Final = ("effect", "plain", "outside", "stumbles", "parent")
"""The types whose jobs do not fail if they parse, whatever becomes of their workers."""


def attempts_of(type_: str) -> int:
    """How many attempts the policy of a type grants."""
    handler = jobs.find(type_)
    return 0 if handler is None else handler.retry.attempts
