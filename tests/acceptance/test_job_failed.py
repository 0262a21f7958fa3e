"""Does every group of subscribers hear of every failure, exactly once by its id?"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from processor import Client, ConfigurationError, JobFailed, JobId, Submission
from processor.domain.events import Reason
from processor.domain.ids import dead_letter_id
from processor.local.stack import Stack
from tests.commands import Commands, commands

pytestmark = pytest.mark.timeout(240)

FAILURES = 30
SECONDS = 90.0
APPLICATION = """
from processor import Jobs, Reject, Request

jobs = Jobs()


@jobs.handler("refused")
async def refused(request: Request[int]) -> None:
    raise Reject(f"number {request.payload}")
"""
# As the port's words say it is done: the effect is keyed by the event's id.
SUBSCRIBER = """
import asyncio, os, sys
import asyncpg
from processor import Client, JobFailed

GROUP, HANGS_AT = sys.argv[1], int(sys.argv[2])


async def main():
    database = await asyncpg.connect(os.environ["JOBS_DATABASE"])
    async with Client.connect() as client:
        taken = 0
        async for event in client.events.subscribe(JobFailed, group=GROUP):
            await database.execute(
                "INSERT INTO heard VALUES ($1, $2, $3) ON CONFLICT (grp, event)"
                " DO UPDATE SET times = heard.times + 1",
                GROUP, event.event_id, event.job,
            )
            taken += 1
            if taken == HANGS_AT:
                await asyncio.get_running_loop().create_future()


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("failed")) as run:
        (run.folder / "application.py").write_text(APPLICATION)
        (run.folder / "subscriber.py").write_text(SUBSCRIBER)
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


class Subscribers:
    """Subscribers' processes, and what they wrote down."""

    def __init__(self, run: Commands, database: asyncpg.Connection[Any]) -> None:
        self._run = run
        self._database = database
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, group: str, hangs_at: int = 0) -> subprocess.Popen[bytes]:
        with (self._run.folder / f"{group}.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "subscriber.py", group, str(hangs_at)],
                cwd=self._run.folder,
                env=self._run.environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
                stdout=log,
                stderr=log,
            )
        self.started.append(started)
        return started

    async def heard(self, group: str) -> dict[UUID, tuple[UUID, int]]:
        """Job and number of times, by the event's id."""
        rows = await self._database.fetch("SELECT * FROM heard WHERE grp = $1", group)
        return {
            UUID(int=row["event"].int): (UUID(int=row["job"].int), row["times"]) for row in rows
        }

    async def until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SECONDS):
            while not await reached():
                assert all(one.poll() in (None, -signal.SIGKILL) for one in self.started)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def subscribers(run: Commands) -> AsyncIterator[Subscribers]:
    database = await asyncpg.connect(run.settings.need_database())
    await database.execute(
        "CREATE TABLE IF NOT EXISTS heard"
        " (grp text, event uuid, job uuid, times int DEFAULT 1, PRIMARY KEY (grp, event))"
    )
    made = Subscribers(run, database)
    try:
        yield made
    finally:
        for one in made.started:
            one.kill()
            await asyncio.to_thread(one.wait)
        await database.close()


async def failures(run: Commands, numbers: range) -> list[JobId]:
    async with Client.connect(run.settings) as client:
        return await client.submit(
            [Submission("refused", number, entity=f"e{number % 7}") for number in numbers]
        )


async def test_two_groups_hear_of_every_failure_exactly_once_also_after_kill_9(
    run: Commands,
) -> None:
    async with subscribers(run) as hearing:
        serving = run.serving("worker", "application:jobs")
        await asyncio.to_thread(serving.__enter__)
        try:
            hearing.start("alarms")
            dying = hearing.start("billing", hangs_at=7)
            jobs = await failures(run, range(FAILURES))

            async def seven() -> bool:
                return len(await hearing.heard("billing")) == 7

            await hearing.until(seven)
            dying.kill()
            await asyncio.to_thread(dying.wait)
            jobs += await failures(run, range(FAILURES, 2 * FAILURES))  # while it is away
            hearing.start("billing")

            async def everything() -> bool:
                both = [await hearing.heard(group) for group in ("alarms", "billing")]
                return all(set(jobs) <= {job for job, _ in one.values()} for one in both)

            await hearing.until(everything)
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)
        # Other tests may have failed jobs of their own.
        alarms, billing = [
            {event: told for event, told in (await hearing.heard(group)).items() if told[0] in jobs}
            for group in ("alarms", "billing")
        ]
    assert sorted(job for job, _ in alarms.values()) == sorted(jobs)
    assert alarms.keys() == billing.keys()
    assert {times for _, times in alarms.values()} == {1}
    again = [times for _, times in billing.values() if times > 1]
    assert again, "what was in its hands when it died came again, and was recognised"


async def test_an_event_says_what_failed_and_where_its_dead_letter_is(run: Commands) -> None:
    serving = run.serving("worker", "application:jobs")
    await asyncio.to_thread(serving.__enter__)
    try:
        async with Client.connect(run.settings) as client:
            batch = UUID(int=7)
            one = Submission("refused", 4711, entity="N123", tenant="acme")
            await client.submit([one], batch=batch)
            heard = client.events.subscribe(JobFailed, group=f"reader-{secrets.token_hex(3)}")
            async for event in heard:
                if event.job == one.id:
                    break
            else:
                pytest.fail("the subscription ended")
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)
    assert (event.type, event.tenant, event.entity) == ("refused", "acme", "N123")
    assert (event.generation, event.attempts, event.batch) == (1, 1, batch)
    assert (event.reason, event.error.message) == (Reason.REJECTED, "number 4711")
    assert event.dead_letter == dead_letter_id(one.id, 1)


async def test_subscriptions_end_with_their_client(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        heard = client.events.subscribe(JobFailed, group="short")
        waiting = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
    (ended,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ended, StopAsyncIteration | JobFailed)
    with pytest.raises(StopAsyncIteration):
        await anext(heard)


async def test_a_group_that_cannot_be_named_is_refused_at_once(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        with pytest.raises(ConfigurationError, match="cannot name a group"):
            client.events.subscribe(JobFailed, group="a group")
