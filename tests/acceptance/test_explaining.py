"""Does the explanation of a job name what really keeps it? Each cause is made to happen."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest
from tenacity import wait_fixed

from processor import (
    Client,
    JobId,
    Jobs,
    Reject,
    Request,
    Retry,
    Settings,
    State,
    Submission,
    Worker,
)
from processor.bootstrap.projecting import projecting
from processor.domain.explanation import Cause, Explanation
from processor.domain.ids import dead_letter_id, entity_key
from tests.commands import Commands
from tests.inside import command, told, when, working

pytestmark = pytest.mark.timeout(240)


class Application:
    """Handlers that keep their jobs in each of the ways there are."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.go_on = asyncio.Event()
        self.jobs.register("works", self.works)
        self.jobs.register("waits", self.waits)
        self.jobs.register("fails", self.fails, retry=Retry(attempts=2, wait=wait_fixed(600)))
        self.jobs.register("blocks", self.rejects, retry=Retry(on_exhausted="block"))
        self.jobs.register("dies", self.rejects)

    async def works(self, request: Request[None]) -> None:
        """Return at once."""

    async def waits(self, request: Request[None]) -> None:
        await request.progress(50, "half")
        await self.go_on.wait()

    async def fails(self, request: Request[None]) -> None:
        raise OSError("the payment service answers 503")

    async def rejects(self, request: Request[None]) -> None:
        raise Reject("it cannot be")


async def explained(client: Client, job: JobId, cause: Cause, said: str = "") -> Explanation:
    """The explanation, as soon as it names that cause and says that."""
    async with asyncio.timeout(60):
        while True:
            found = await client.explain(job)
            if found.cause is cause and said in found.sentence:
                return found
            await asyncio.sleep(0.05)  # nobody tells


@asynccontextmanager
async def working_with(settings: Settings) -> AsyncIterator[tuple[Client, Application]]:
    application = Application()
    async with working(settings, application.jobs) as client:
        try:
            yield client, application
        finally:
            application.go_on.set()


async def test_each_cause_is_named_while_it_keeps_a_job(ready: Commands) -> None:
    async with working_with(ready.settings) as (client, application):
        due = datetime.now(UTC) + timedelta(hours=1)
        later = await client.submit(Submission("works", not_before=due))
        found = await explained(client, later, Cause.SCHEDULED)
        assert found.sentence == f"it is scheduled for {due:%Y-%m-%d %H:%M:%S} UTC"

        failing = await client.submit(Submission("fails", entity="E"))
        found = await explained(client, failing, Cause.RETRYING)
        failed = "attempt 1 failed (HandlerFailed: the payment service answers 503)"
        assert found.sentence.startswith(f"{failed}; the next one is due at ")
        behind = await client.submit(Submission("works", entity="E"))
        found = await explained(client, behind, Cause.BEHIND_JOB)
        assert found.sentence.startswith(f"job {failing} of E goes first, and retries at ")
        assert "the payment service answers 503" in found.sentence

        blocking = await client.submit(Submission("blocks", entity="F"))
        await when(client, blocking, lambda status: status.state is State.FAILED)
        letter = dead_letter_id(blocking, 1)
        found = await explained(client, blocking, Cause.BLOCKING)
        assert found.details == {"dead_letter": str(letter)}
        blocked = await client.submit(Submission("works", entity="F"))
        found = await explained(client, blocked, Cause.ENTITY_BLOCKED)
        assert found.sentence == (
            f"F is blocked by job {blocking}, which failed: replay or discard dead letter {letter}"
        )

        unknown = await client.submit(Submission("nobody"))
        found = await explained(client, unknown, Cause.NO_HANDLER)
        assert found.sentence.startswith("no live worker has a handler for nobody; it fails at")

        running = await client.submit(Submission("waits", entity="G"))
        found = await explained(client, running, Cause.RUNNING, "; 50 % ")
        assert found.details["attempt"] == 1
        application.go_on.set()
        await client.result(running, timeout=60)
        found = await explained(client, running, Cause.ENDED)
        assert found.sentence.startswith("it is complete since ")
        dead = await client.submit(Submission("dies"))
        found = await explained(client, dead, Cause.ENDED)
        assert found.sentence == f"it failed: see dead letter {dead_letter_id(dead, 1)}"


async def test_a_hold_is_named_with_its_author_and_reason(ready: Commands) -> None:
    # Before a worker is there: one that works sees a hold within a second.
    await command(ready, "hold", "type", "works", "--by", "ada", "--because", "the gate is shut")
    async with working_with(ready.settings) as (client, _):
        job = await client.submit(Submission("works"))
        found = await explained(client, job, Cause.HELD)
        assert found.sentence.startswith("type works is held until it is released, since ")
        assert found.sentence.endswith(" by ada: the gate is shut")
        (shown,) = await told(ready, "explain", str(job))
        assert (shown["cause"], shown["sentence"]) == ("held", found.sentence)
        said = await command(ready, "explain", str(job))
        assert (said.code, said.out.strip()) == (0, found.sentence)


async def test_a_partition_without_an_owner_is_named(ready: Commands) -> None:
    async with Client.connect(ready.settings) as client:
        job = await client.submit(Submission("works", entity="E"))
        found = await explained(client, job, Cause.NO_OWNER)
        assert found.sentence.endswith(" has no owner; no worker lives")


async def test_a_foreign_holder_of_the_entitys_lock_is_named(ready: Commands) -> None:
    database = await asyncpg.connect(
        ready.settings.need_database(), server_settings={"application_name": "job-handlers frozen"}
    )
    try:
        async with working_with(ready.settings) as (client, _):
            await client.result(await client.submit(Submission("works")), timeout=60)
            async with database.transaction():
                await database.execute("SELECT pg_advisory_xact_lock($1)", entity_key(None, "E"))
                job = await client.submit(Submission("fails", entity="E"))
                found = await explained(client, job, Cause.LOCKED)
                assert found.sentence.startswith("job-handlers frozen (backend ")
                assert found.details["pid"] == database.get_server_pid()
    finally:
        await database.close()


@pytest.mark.parametrize("partitions", [1])
async def test_what_goes_first_in_its_lane_is_counted(ready: Commands) -> None:
    settings = replace(ready.settings, slots=1, look_ahead=5)
    async with working_with(settings) as (client, application):
        await explained(client, await client.submit(Submission("waits")), Cause.RUNNING)
        jobs = await client.submit([Submission("works") for _ in range(20)])
        found = await explained(client, jobs[-1], Cause.BEHIND_LANE)
        assert found.details["records"] == 20
        assert found.details["lane"] == "normal"
        found = await explained(client, jobs[1], Cause.WAITING_FOR_SLOT)
        assert found.sentence == "it waits for a free slot; at most 2 records go first"
        application.go_on.set()
        await client.result(jobs[-1], timeout=60)


async def test_a_history_that_is_behind_is_named_with_how_far(ready: Commands) -> None:
    application = Application()
    async with Worker(application.jobs, ready.settings), Client.connect(ready.settings) as client:
        waiting = await client.submit(Submission("waits", entity="E"))
        job = await client.submit(Submission("works"))
        behind = await client.submit(Submission("works", entity="E"))
        found = await explained(client, job, Cause.NOT_PROJECTED, " of the journal behind in ")
        assert found.sentence.startswith("it is complete; its history does not tell so yet: it is ")
        lag = found.details["lag"]
        assert isinstance(lag, int)
        assert lag >= 1
        # Whoever did not submit it is told by the database that workers write.
        (shown,) = await told(ready, "explain", str(job))
        assert (shown["cause"], shown["details"]["lag"]) == ("not_projected", lag)
        application.go_on.set()
        for one in (waiting, behind):
            await explained(client, one, Cause.NOT_PROJECTED)


@pytest.mark.parametrize("partitions", [2])
async def test_of_several_workers_the_owner_that_lacks_the_handler_is_named(
    ready: Commands,
) -> None:
    able, lacking = Application(), Jobs()
    async with (
        working(ready.settings, able.jobs) as client,
        Worker(lacking, ready.settings),
    ):
        await shared_out(ready.settings, 2)
        there = "which owns partition"
        jobs = [await client.submit(Submission("works")) for _ in range(40)]
        found = await asyncio.gather(
            *(first_of(client, one, {Cause.ENDED, Cause.NO_HANDLER}) for one in jobs)
        )
        lacked = [one for one in found if one.cause is Cause.NO_HANDLER]
        assert lacked
        assert all(
            " has no handler for works; 1 of 2 live workers have" in one.sentence for one in lacked
        )
        assert all(there in one.sentence for one in lacked)
        nobody = await client.submit(Submission("nobody"))
        one = await explained(client, nobody, Cause.NO_HANDLER, "; it fails at ")
        assert one.sentence.startswith("none of 2 live workers has a handler for nobody; it fails")
        assert one.details["workers"] == 2


async def shared_out(settings: Settings, workers: int) -> None:
    """Return when so many workers own partitions."""
    owners = "SELECT count(DISTINCT worker) FROM jobs.ownership WHERE NOT released"
    database = await asyncpg.connect(settings.need_database())
    try:
        async with asyncio.timeout(60):
            while await database.fetchval(owners) < workers:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    finally:
        await database.close()


async def first_of(client: Client, job: JobId, causes: set[Cause]) -> Explanation:
    """The explanation, as soon as it names one of the causes."""
    async with asyncio.timeout(60):
        while True:
            found = await client.explain(job)
            if found.cause in causes:
                return found
            await asyncio.sleep(0.1)  # nobody tells


SLEEPING = """
from processor import Jobs, Request

jobs = Jobs()


@jobs.handler("sleeps", timeout=120)
async def sleeps(request: Request[None]) -> None:
    connection = await request.connection()
    await connection.execute("SELECT pg_sleep(45)")
"""


@pytest.mark.long
async def test_a_frozen_worker_that_holds_the_entitys_lock_is_named(ready: Commands) -> None:
    (ready.folder / "sleeping.py").write_text(SLEEPING)
    start = partial(ready.serving, "worker", "sleeping:jobs")
    async with projecting(ready.settings), Client.connect(ready.settings) as client:
        with start() as first, start() as second:
            job = await client.submit(Submission("sleeps", entity="E"))
            behind = await client.submit(Submission("sleeps", entity="E"))
            found = await explained(client, job, Cause.RUNNING)
            _, pid, short = str(found.details["worker"]).split("/")
            frozen = first if first.pid == int(pid) else second
            frozen.send_signal(signal.SIGSTOP)
            try:
                found = await explained(client, job, Cause.RUNNING, " no sign of life for ")
                # Its partition goes to the other, and the database goes on with its statement.
                found = await explained(client, job, Cause.LOCKED, " no sign of life for ")
                assert found.sentence.startswith(f"job-handlers {short} (backend ")
                assert str(found.details["worker"]).startswith(short)
                found = await explained(client, behind, Cause.LOCKED)
                assert str(found.details["worker"]).startswith(short)
            finally:
                frozen.send_signal(signal.SIGCONT)
                frozen.kill()
