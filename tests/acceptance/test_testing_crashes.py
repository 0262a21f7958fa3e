"""Does `processor.testing.crash_everywhere` prove what it says, and can it fail?"""

from __future__ import annotations

import asyncio

import pytest
from tenacity import wait_fixed

from processor import ConfigurationError, JobId, Jobs, Reject, Request, Retry, Submission
from processor.adapters.memory.database import MemoryDatabase
from processor.testing import crash_everywhere

jobs = Jobs()


class Book:
    """Stands for a connection."""

    async def execute(self, line: str) -> None:
        pass

    async def fetchval(self, line: str) -> int:
        return len(line)


@jobs.handler("writes", retry=Retry(attempts=2, wait=wait_fixed(60)))
async def writes(request: Request[int]) -> int:
    connection = await request.connection()
    await connection.execute("INSERT")
    request.submit(Submission("bill"))
    if request.attempt == 1:
        raise OSError("not at once")
    return int(await connection.fetchval("four"))


@jobs.handler("nothing")
async def nothing(request: Request[int]) -> int:
    await asyncio.sleep(0.01)
    return request.payload


@jobs.handler("refuses")
async def refuses(_: Request[int]) -> None:
    raise Reject("never")


@jobs.handler("threads")
def threads(request: Request[int]) -> int:
    return request.payload


@pytest.mark.parametrize(
    ("handler", "least"), [(writes, 40), (nothing, 10), (refuses, 10), (threads, 10)]
)
def test_a_good_handler_takes_effect_once_wherever_its_worker_dies(
    handler: object, least: int
) -> None:
    assert crash_everywhere(handler, 7, connection=Book) >= least  # type: ignore[arg-type]


def test_a_handler_that_remembers_in_its_process_what_it_did_is_found_out() -> None:
    done: set[JobId] = set()

    async def remembers(request: Request[None]) -> None:
        if request.job_id in done:
            return
        done.add(request.job_id)
        session = await request.session()
        session.add("row")
        await session.flush()

    with pytest.raises(AssertionError, match=r"died before place 0, .*\n.*committed: nothing\n"):
        crash_everywhere(remembers)


def test_a_handler_whose_result_depends_on_its_runs_is_found_out() -> None:
    runs: list[None] = []

    async def counts(_: Request[None]) -> int:
        runs.append(None)
        return len(runs)

    with pytest.raises(AssertionError, match=r"result 2, .*\n.*\n.*result 1, "):
        crash_everywhere(counts)


def test_a_ledger_that_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryDatabase, "insert", lambda *_: True)
    with pytest.raises(AssertionError, match=r"committed: (connection\.execute.*){2}\n"):
        crash_everywhere(once, connection=Book)


async def once(request: Request[None]) -> None:
    await (await request.connection()).execute("INSERT")


async def test_inside_a_loop_it_says_where_it_belongs() -> None:
    with pytest.raises(ConfigurationError, match="plain `def` test"):
        crash_everywhere(nothing, 1)
