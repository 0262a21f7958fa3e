"""Does a job that kills its process end, on the real parts, and go on that of one that froze?"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from processor import Client, JobFailed, JobId, JobStatus, Priority, State, Submission
from processor.bootstrap.projecting import projecting
from processor.domain.events import Reason
from processor.domain.ids import dead_letter_id, partition_of
from tests import poison
from tests.commands import Commands
from tests.inside import told, when

pytestmark = pytest.mark.timeout(240)

SESSION_SECONDS = "2"
FOUR_DEATHS = """
WITH partition AS (
    UPDATE jobs.ownership SET unclean = 4, suspect_until = ARRAY[9, 9, 9, 9] WHERE partition = $3
)
INSERT INTO jobs.suspect (partition, lane, at_offset, alone, decoding, deaths)
VALUES ($3, $1, $2, true, false, 2)
"""
"""What four deaths leave behind: two until what was read is suspected, two under its own mark."""
BAD_AT = (1, 5)
"""At which offset the poison is, by partition: in the second one innocents alone come first."""
LOOK_SECONDS = 0.05
KINDS = {"lane": "poison", "killed": "killed", "waiting room": "poison when run again"}
ENDS = {poison.EXIT_CODE, -signal.SIGKILL}


class Workers:
    """Worker processes; once none is left another is started.

    Those that stand by have seen who is dead when a partition comes to them.
    """

    def __init__(self, run: Commands, number: int) -> None:
        self._run = run
        self.alive = [self._start() for _ in range(number)]
        self.deaths = 0

    def look(self) -> None:
        """Count those that died of poison; any other end fails the test."""
        for worker in list(self.alive):
            code = worker.poll()
            if code is not None:
                assert code in ENDS, f"a worker ended with {code}: {self.said()}"
                self.deaths += 1
                self.alive.remove(worker)
        if not self.alive:
            self.alive.append(self._start())

    def said(self) -> str:
        return (self._run.folder / "workers.log").read_text(errors="replace")[-3000:]

    def end(self) -> None:
        for worker in self.alive:
            with worker:
                worker.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        return self._run.spawn(self._run.folder / "workers.log", "worker", "poison:jobs")


@contextmanager
def workers(run: Commands, number: int) -> Iterator[Workers]:
    started = Workers(run, number)
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def partitions() -> int:
    return 2


@pytest.fixture
def run(ready: Commands) -> Commands:
    ready.variables["JOBS_SESSION_TIMEOUT"] = SESSION_SECONDS
    shutil.copy(poison.__file__, ready.folder / "poison.py")
    return ready


@asynccontextmanager
async def asking(run: Commands) -> AsyncIterator[tuple[Client, asyncpg.Connection]]:
    """A client beside a projector, and a connection to see the effects by."""
    connection = await asyncpg.connect(run.settings.need_database())
    try:
        await connection.execute(poison.TABLES)
        async with projecting(run.settings), Client.connect(run.settings) as client:
            yield client, connection
    finally:
        await connection.close()


async def ended(client: Client, line: Workers, jobs: list[JobId]) -> list[JobStatus]:
    """How all of them ended."""
    found = []
    for job in jobs:
        while (status := await client.status(job)).state not in (State.COMPLETE, State.FAILED):
            line.look()
            await asyncio.sleep(LOOK_SECONDS)
        found.append(status)
    return found


def entity_in(number: int, name: str, partitions: int) -> str:
    names = (f"{name}-{index}" for index in range(10_000))
    return next(entity for entity in names if partition_of(entity, partitions) == number)


def around(bad: str, number: int, partitions: int) -> list[Submission]:
    """Poison of one kind in a partition, with innocents around it and behind it."""
    others = entity_in(number, "innocent", partitions)
    its_own = entity_in(number, "poisoned", partitions)
    before, after = (
        [Submission("innocent", entity=others, priority=lane) for lane in Priority] for _ in "12"
    )
    behind = Submission("innocent", entity=its_own)
    return [*before, Submission(bad, entity=its_own), behind, *after]


@pytest.mark.parametrize(
    ("sources", "number"),
    [
        pytest.param(["lane", "killed"], 2, id="the_last_death"),
        pytest.param(["lane", "waiting room"], 5, id="every_death", marks=pytest.mark.long),
    ],
)
async def test_a_handler_that_exits_beside_innocents_in_two_partitions_from_a_lane_and_from_the_waiting_room_ends_as_worker_lost_the_innocents_complete(  # noqa: E501
    run: Commands,
    sources: list[str],
    number: int,
    record_property: Callable[[str, object], None],
) -> None:
    partitions = run.settings.partitions
    submissions = around("innocent", 1, partitions)
    for home, source in enumerate(sources):
        submissions += around(KINDS[source], home, partitions)
    bad = [one.type in KINDS.values() for one in submissions]
    async with asking(run) as (client, connection):
        jobs = await client.submit(submissions)
        if "waiting room" not in sources:
            for home, offset in enumerate(BAD_AT):
                await connection.execute(FOUR_DEATHS, Priority.NORMAL, offset, home)
        with workers(run, number) as line:
            statuses = await ended(client, line, jobs)
            for worker in line.alive:
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait) == 0
        record_property("deaths", line.deaths)
        for status, is_bad in zip(statuses, bad, strict=True):
            assert status.state is (State.FAILED if is_bad else State.COMPLETE)
            reason = status.current.error.reason if status.current.error else None
            assert reason is (Reason.WORKER_LOST if is_bad else None)
        lost = {job for job, is_bad in zip(jobs, bad, strict=True) if is_bad}
        effects = Counter(row["job"] for row in await connection.fetch("SELECT job FROM effect"))
        assert effects == Counter(set(jobs) - lost)
        letters = await told(run, "dead-letters", "list")
        assert {one["id"] for one in letters} == {str(dead_letter_id(job, 1)) for job in lost}
        heard = client.events.subscribe(JobFailed, group="watch")
        told_of = {(await anext(heard)).job for _ in lost}
        assert told_of == lost


@pytest.mark.long
async def test_a_worker_ends_at_sigterm_although_its_handlers_hang_and_nothing_is_counted(
    run: Commands,
) -> None:
    run.variables["JOBS_DRAIN_TIMEOUT"] = "1"
    async with asking(run) as (client, connection):
        with workers(run, 1) as line:
            jobs = await client.submit([Submission("hangs"), Submission("hangs in a thread")])
            while not all(  # noqa: ASYNC110 - a process is asked
                f"a {what} hangs" in line.said() for what in ("coroutine", "thread")
            ):
                await asyncio.sleep(LOOK_SECONDS)
            (worker,) = line.alive
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait) == 0
        assert await connection.fetchval("SELECT count(*) FROM jobs.ledger") == 0
        for job in jobs:
            assert (await client.status(job)).state not in (State.COMPLETE, State.FAILED)


async def test_the_entity_of_a_frozen_worker_goes_on_while_it_is_frozen(run: Commands) -> None:
    async with asking(run) as (client, connection):
        with workers(run, 2) as line:
            held, behind = await client.submit(
                [Submission("stays", entity="N1"), Submission("innocent", entity="N1")]
            )
            status = await when(client, held, lambda status: status.state is State.PROCESSING)
            assert status.current.worker is not None
            pid = int(status.current.worker.split("/")[1])
            (frozen,) = [worker for worker in line.alive if worker.pid == pid]
            frozen.send_signal(signal.SIGSTOP)
            await connection.execute(poison.LET_GO)
            for job in (held, behind):
                await when(client, job, lambda status: status.state is State.COMPLETE)
            frozen.send_signal(signal.SIGCONT)
            for worker in line.alive:
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait) == 0
        effects = [row["job"] for row in await connection.fetch("SELECT job FROM effect")]
        assert effects == [held, behind]
