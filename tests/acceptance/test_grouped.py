"""Do jobs that share a transaction keep every promise on the real broker and database?"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel
from sqlalchemy import text

from processor import Client, JobId, Jobs, Reject, Request, Retry, Submission, Worker
from processor.bootstrap import working
from processor.domain.events import Failed, Reason
from processor.runtime import sharing
from processor.settings import Settings
from tests import mortal
from tests.commands import CODEC, Commands

pytestmark = pytest.mark.timeout(240)

LOOK_SECONDS = 0.05
WITHIN_SECONDS = 120.0
ENDED = "SELECT count(*) FROM jobs.ledger"
UNCALM = "SELECT count(*) FROM jobs.ownership WHERE unclean > 0"
BODIES = "SELECT job, body FROM jobs.ledger"
TABLES = """
CREATE TABLE written (job uuid NOT NULL);
CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE shared (n int PRIMARY KEY, value int NOT NULL);
INSERT INTO shared SELECT n, 0 FROM generate_series(0, 9) n;
CREATE TABLE line (entity text, seq int, number int, PRIMARY KEY (entity, seq));
"""
LINE = "INSERT INTO line SELECT $1, coalesce(max(seq), 0) + 1, $2 FROM line WHERE entity = $1"
OUT_OF_ORDER = """
SELECT count(*) FROM line a JOIN line b ON a.entity = b.entity
WHERE a.seq < b.seq AND a.number > b.number
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Deed(BaseModel):
    does: str = "returns"
    number: int = 0


class Deeds:
    """What a job of a group may do after it wrote; each method is one way."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.called: Counter[str] = Counter()
        once = Retry(attempts=1)
        self.jobs.register("deed", self.do, retry=once, transaction="grouped")
        self.jobs.register("quick", self.do, retry=once, timeout=0.3, transaction="grouped")

    async def do(self, request: Request[Deed]) -> object:
        self.called[request.entity] += 1
        connection = await request.connection()
        assert await connection.fetchval("SHOW search_path") == '"$user", public'
        if request.payload.number % 2:
            connection = await request.connection()
            await connection.execute("INSERT INTO written VALUES ($1)", request.job_id)
        else:
            session = await request.session()
            values = {"job": request.job_id}
            await session.execute(text("INSERT INTO written VALUES (:job)"), values)
        return await getattr(self, request.payload.does)(request)

    async def returns(self, _: Request[Deed]) -> None: ...

    async def raises(self, _: Request[Deed]) -> None:
        raise RuntimeError("its own")

    async def rejects(self, _: Request[Deed]) -> None:
        raise Reject("never")

    async def fails_in_sql(self, request: Request[Deed]) -> None:
        await (await request.connection()).execute("SELECT 1 / 0")

    async def swallows(self, request: Request[Deed]) -> None:
        connection = await request.connection()
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1 / 0")

    async def rolls_back(self, request: Request[Deed]) -> None:
        await (await request.session()).rollback()

    async def commits(self, request: Request[Deed]) -> None:
        await (await request.connection()).execute("COMMIT")

    async def sets(self, request: Request[Deed]) -> None:
        connection = await request.connection()
        await connection.execute("SET LOCAL search_path = nowhere")
        assert await connection.fetchval("SHOW search_path") == "nowhere"

    async def no_json(self, _: Request[Deed]) -> object:
        return object()

    async def defers(self, request: Request[Deed]) -> None:
        await (await request.connection()).execute("INSERT INTO once VALUES (1), (1)")

    async def sleeps(self, request: Request[Deed]) -> None:
        await (await request.connection()).execute("SELECT pg_sleep(1.2)")

    async def leaves(self, request: Request[Deed]) -> None:
        connection = await request.connection()
        self.left = asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)"))
        self.left.add_done_callback(lambda left: left.cancelled() or left.exception())
        await asyncio.sleep(0)


REASONS = {
    "raises": Reason.HANDLER_FAILED,
    "rejects": Reason.REJECTED,
    "fails_in_sql": Reason.HANDLER_FAILED,
    "swallows": Reason.TRANSACTION_MISUSED,
    "rolls_back": Reason.TRANSACTION_MISUSED,
    "commits": Reason.TRANSACTION_MISUSED,
    "no_json": Reason.RESULT_INVALID,
    "defers": Reason.HANDLER_FAILED,
    "leaves": Reason.TRANSACTION_MISUSED,
}
ALONE = ("sleeps", "sets")
"""What leaves its group and is done in a transaction of its own."""


@asynccontextmanager
async def asking(settings: Settings, tables: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(settings.need_database())
    try:
        await connection.execute(tables)
        yield connection
    finally:
        await connection.close()


async def submitted(settings: Settings, submissions: Sequence[Submission]) -> list[JobId]:
    """What waits together before any worker starts."""
    async with Client.connect(settings) as client:
        return await client.submit(submissions)


async def ended(
    connection: asyncpg.Connection[Any], number: int, look: Callable[[], None] = lambda: None
) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while await connection.fetchval(ENDED) < number:
            look()
            await asyncio.sleep(LOOK_SECONDS)


@pytest.mark.parametrize("below", [0.0, 2.0], ids=["savepoints", "optimistic"])
async def test_no_way_to_end_badly_harms_another_job_of_the_group(
    jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch, below: float
) -> None:
    monkeypatch.setattr(sharing, "BOLD_BELOW", below)
    monkeypatch.setattr(sharing, "ALONE_FOR", 0.0)
    monkeypatch.setattr(working, "GROUPS", 1)
    deeds = Deeds()
    submissions: list[Submission] = []
    for number, deed in enumerate(("past its time", *REASONS, *ALONE)):
        for does in ("returns", deed, "returns", "returns"):
            late = does == "past its time"
            payload = {"does": "sleeps" if late else does, "number": number + len(submissions)}
            type_, entity = "quick" if late else "deed", f"{does}/{len(submissions)}"
            submissions.append(Submission(type_, payload, entity=entity))
    async with asking(jobs_settings, TABLES) as connection:
        ids = await submitted(jobs_settings, submissions)
        async with Worker(deeds.jobs, jobs_settings):
            await ended(connection, len(ids))
        bodies = {row["job"]: row["body"] for row in await connection.fetch(BODIES)}
        written = Counter(row["job"] for row in await connection.fetch("SELECT job FROM written"))
    complete = set()
    for job, submission in zip(ids, submissions, strict=True):
        end = getattr(CODEC.decode_journal(bodies[job]), "end", None)
        wanted = REASONS.get(str(submission.entity).split("/", 1)[0])
        if submission.type == "quick":
            wanted = Reason.ATTEMPT_TIMEOUT
        if wanted is not None:
            assert isinstance(end, Failed), submission.entity
            assert end.error.reason is wanted, (submission.entity, end)
        else:
            assert not isinstance(end, Failed), (submission.entity, end)
            complete.add(job)
    assert written == dict.fromkeys(complete, 1)


@pytest.mark.parametrize("number", [300, pytest.param(5_000, marks=pytest.mark.long)])
async def test_two_workers_with_failing_jobs_and_shared_rows_lose_nothing_and_never_deadlock(
    jobs_settings: Settings, number: int
) -> None:
    jobs = Jobs()

    @jobs.handler("shared", retry=Retry(attempts=1), transaction="grouped")
    async def shared(request: Request[Deed]) -> None:
        connection, number = await request.connection(), request.payload.number
        await connection.execute(LINE, request.entity, number)
        change = "UPDATE shared SET value = value + 1 WHERE n = $1"
        await connection.execute(change, number % 10)
        if number % 20 == 7:
            raise RuntimeError("its own")

    submissions = [
        Submission("shared", {"number": one}, entity=f"N{one % 41}") for one in range(number)
    ]
    failing = sum(one % 20 == 7 for one in range(number))
    async with asking(jobs_settings, TABLES) as connection:
        ids = await submitted(jobs_settings, submissions)
        async with Worker(jobs, jobs_settings), Worker(jobs, jobs_settings):
            await ended(connection, len(ids))
        assert await connection.fetchval("SELECT sum(value) FROM shared") == number - failing
        assert await connection.fetchval("SELECT count(DISTINCT number) FROM line") == (
            number - failing
        )
        assert await connection.fetchval("SELECT count(*) FROM line") == number - failing
        assert await connection.fetchval(OUT_OF_ORDER) == 0
        assert await connection.fetchval(DEADLOCKS) == 0


class Mortals:
    """A worker process; when it has been killed another is started."""

    def __init__(self, run: Commands) -> None:
        self._run = run
        self.deaths = 0
        self._start()

    def look(self) -> None:
        code = self._worker.poll()
        if code is None:
            return
        assert code == -signal.SIGKILL, self._log.read_text(errors="replace")[-3000:]
        self.deaths += 1
        self._start()

    async def stop(self) -> None:
        """Ctrl-C: a death would count, and what is suspected shares no transaction."""
        self._worker.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(self._worker.wait) == 0

    def end(self) -> None:
        with self._worker:
            self._worker.kill()

    def _start(self) -> None:
        self._log = self._run.folder / "worker.log"
        self._worker: subprocess.Popen[bytes] = self._run.spawn(self._log, "worker", "mortal:jobs")


@pytest.mark.parametrize(
    "kills", [pytest.param(1, id="once"), pytest.param(10, id="ten", marks=pytest.mark.long)]
)
async def test_a_kill_9_in_the_middle_of_a_group_makes_nothing_twice_and_loses_nothing(
    ready: Commands, kills: int
) -> None:
    ready.variables["JOBS_SESSION_TIMEOUT"] = "2"
    shutil.copy(mortal.__file__, ready.folder / "mortal.py")
    deaths = ready.folder / mortal.FOLDER
    deaths.mkdir()
    dying: list[JobId] = []
    async with asking(ready.settings, mortal.TABLES) as connection:
        ids: list[JobId] = []
        for _ in range(kills):
            submissions = [
                Submission("life", {"dies": one == 37}, entity=f"N{one % 60}") for one in range(90)
            ]
            ids += await submitted(ready.settings, submissions)
            dying.append(ids[-90 + 37])
            worker = Mortals(ready)
            try:
                await ended(connection, len(ids), worker.look)
                async with asyncio.timeout(WITHIN_SECONDS):
                    while await connection.fetchval(UNCALM):  # noqa: ASYNC110 - by SQL
                        await asyncio.sleep(LOOK_SECONDS)
                await worker.stop()
            finally:
                worker.end()
            assert worker.deaths == 1
        lived = Counter(row["job"] for row in await connection.fetch("SELECT job FROM lived"))
        outcomes = Counter(
            row["outcome"]
            for row in await connection.fetch("SELECT outcome::text FROM jobs.ledger")
        )
    assert lived == dict.fromkeys(ids, 1)
    assert outcomes == {"c": len(ids)}
    together = [int((deaths / str(job)).read_text()) for job in dying]
    assert min(together) > 1, "it was no group that died"
