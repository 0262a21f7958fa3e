"""Does the line on the real parts hold its promises when any of its parts fails?

Worker, projector and `submit` are processes of their own; every run ends with all invariants.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from processor.local.stack import LocalStack, ServerName
from tests.commands import Commands, commands
from tests.separate import NOW, Process, Separately, separately

pytestmark = pytest.mark.timeout(300)

SESSION_SECONDS = "3"
UNPUBLISHED = 20
"""So many jobs are committed and not published when a worker is killed between the two."""


@pytest.fixture
def run(local_stack: LocalStack, tmp_path: Path) -> Iterator[Commands]:
    with commands(local_stack.stack, f"test-{secrets.token_hex(5)}", tmp_path) as run:
        run.variables["JOBS_SESSION_TIMEOUT"] = SESSION_SECONDS
        yield run


@asynccontextmanager
async def line_of(run: Commands) -> AsyncIterator[Separately]:
    variables = run.variables
    async with separately(run, variables["JOBS_KAFKA"], variables["JOBS_DATABASE"]) as line:
        line.start("projector")
        yield line


@pytest.mark.long
async def test_a_worker_frozen_past_its_session_and_woken_does_nothing_twice(
    run: Commands,
) -> None:
    async with line_of(run) as line:
        frozen, other = line.worker(), line.worker()
        async with line.fed():
            await line.has_worked(frozen, other)
            held = await line.holding(frozen)
            ((since,),) = await line.fetch(NOW)
            frozen.freeze()
            await line.until_worked_elsewhere(frozen, held, since)
            await line.look()
            frozen.wake()
            await line.has_worked(frozen, other)
            await line.look()
        await line.ended()


OFTEN = pytest.mark.parametrize(
    "kills", [pytest.param(1, id="once"), pytest.param(10, id="often", marks=pytest.mark.long)]
)


@OFTEN
@pytest.mark.parametrize("server", ["postgres", pytest.param("kafka", marks=pytest.mark.long)])
async def test_the_line_goes_on_by_itself_when_a_killed_server_is_back(
    local_stack: LocalStack, run: Commands, server: ServerName, kills: int
) -> None:
    async with line_of(run) as line:
        workers = [line.worker() for _ in range(min(kills, 2))]
        async with line.fed():
            await line.has_worked(*workers)
            for _ in range(kills):
                await asyncio.to_thread(kill_and_start, local_stack, server)
                await line.has_worked(*workers)
            await line.look()
        assert not any("another one than before" in worker.said() for worker in workers)
        # No attempt was consumed: with one attempt each, a job would have failed.
        await line.ended()


def kill_and_start(stack: LocalStack, server: ServerName) -> None:
    """In one thread, so that a test that fails in between leaves the server to the next."""
    stack.kill(server)
    stack.start(server)


@pytest.mark.long
@OFTEN
async def test_a_worker_killed_between_commit_and_publishing_leaves_nothing_unpublished(
    local_stack: LocalStack, run: Commands, kills: int
) -> None:
    unpublished = 0
    async with line_of(run) as line:
        for _ in range(kills):
            worker = line.worker()
            async with line.fed():
                await line.has_worked(worker)
                while not await killed_after_commits(line, worker, local_stack):
                    await line.has_worked(worker)
            unpublished += await between_commit_and_publishing(line)
            await line.look()
        assert unpublished, "no worker was killed between the two: nothing was shown"
        line.worker()
        await line.ended()


async def killed_after_commits(line: Separately, worker: Process, stack: LocalStack) -> bool:
    """Kill a worker that commits and cannot publish; False where it had nothing to commit."""
    with stack.frozen("kafka"):
        try:
            async with asyncio.timeout(float(SESSION_SECONDS)):
                await line.has_settled(UNPUBLISHED)
        except TimeoutError:
            return False
        worker.kill()
    return True


async def between_commit_and_publishing(line: Separately) -> int:
    """How many jobs have an end in the ledger and none in the journal."""
    seen = await line.evidence()
    told = {told.body for told in seen.log.journal}
    return sum(row.body not in told for row in seen.tables.ledger.values())
