"""Does whoever asks for a job get the truth, and never 'unknown' for what was submitted?"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from processor import Client, JobId, Jobs, JobStatus, Request, State, Submission, Worker
from processor.bootstrap.projecting import projecting
from processor.local.stack import Stack
from tests.commands import Commands, Ended, commands

pytestmark = pytest.mark.timeout(240)

NOBODY = "127.0.0.1:9"
APPLICATION = """
import asyncio
from pathlib import Path

from processor import Jobs, Request

jobs = Jobs()
nothing = 7


@jobs.handler("counted")
async def counted(request: Request[int]) -> dict[str, int]:
    return {"next": request.payload + 1}


@jobs.handler("held")
async def held(request: Request[str]) -> None:
    await request.progress(40, "and waits")
    while not Path(request.payload).exists():
        await asyncio.sleep(0.01)
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("asking")) as run:
        (run.folder / "application.py").write_text(APPLICATION)
        (run.folder / "empty.py").write_text("")
        (run.folder / "needy.py").write_text("import nowhere_to_be_found\n")
        (run.folder / "broken.py").write_text("x = 1 / 0\n")
        (run.folder / "unread.py").write_text("def (:\n")
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


def submitted(run: Commands, **fields: Any) -> str:  # noqa: ANN401 - any field
    done = run("submit", "-", text=json.dumps({"payload": 1} | fields).encode())
    assert done.code == 0, done
    (job,) = done.ids
    return job


def told(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended
    status: dict[str, Any] = json.loads(ended.out)
    return status


def test_a_job_is_queued_while_no_worker_runs(run: Commands) -> None:
    with run.serving("projector"):
        job = submitted(run, type="nobody", entity="e", tenant="t", priority="high")
        status = told(run("status", job, "--json"))
    assert status["state"] == "queued"
    assert (status["id"], status["entity"], status["tenant"]) == (job, "e", "t")
    assert status["lane"] == "high"
    assert [line["event"] for line in status["history"]] == ["queued"]


def test_a_finished_job_tells_its_life(run: Commands) -> None:
    with run.serving("projector"), run.serving("worker", "application:jobs"):
        job = submitted(run, type="counted", payload=41)
        status = asyncio.run(result_of(run, job))
    assert status == {"next": 42}
    ended = run("status", job)
    assert ended.code == 0
    assert re.search(rf"^{job} counted is complete$", ended.out, re.MULTILINE)
    words = re.findall(r"^\d{4}-\d\d-\d\d \S+Z +(\w+)", ended.out, re.MULTILINE)
    assert words == ["queued", "started", "complete"]


def test_a_running_job_shows_its_attempt_its_worker_and_how_far_it_is(run: Commands) -> None:
    go_on = run.folder / "go on"
    with run.serving("projector"), run.serving("worker", "application:jobs") as worker:
        job = submitted(run, type="held", payload=str(go_on))
        while (status := told(run("status", job, "--json")))["state"] == "queued":
            assert worker.poll() is None
        shown = run("status", job)
        go_on.touch()
        asyncio.run(result_of(run, job))
    assert status["state"] == "processing"
    assert (status["attempts"], status["worker"].split("/")[1]) == (1, str(worker.pid))
    headline, *_, last = shown.out.splitlines()
    assert headline == f"{job} held is processing, attempt 1 on {status['worker']}"
    assert last.endswith("40 % and waits")
    assert told(run("status", job, "--json"))["state"] == "complete"


async def result_of(run: Commands, job: str) -> Any:  # noqa: ANN401 - any JSON
    async with Client.connect(run.settings) as client:
        return await client.result(JobId(UUID(job)), timeout=60)


async def test_worker_projector_and_client_run_inside_an_application(run: Commands) -> None:
    jobs = Jobs()

    @jobs.handler("inside")
    async def inside(request: Request[int]) -> int:
        connection = await request.connection()
        found: int = await connection.fetchval("SELECT $1::int + 1", request.payload)
        return found

    @jobs.handler("in a thread")
    def in_a_thread(request: Request[int]) -> None:
        assert request.payload == 2

    async with (
        Worker(jobs, run.settings),
        projecting(run.settings),
        Client.connect(run.settings) as client,
    ):
        first = await client.submit(inside.submission(1, entity="inside"))
        second = await client.submit(in_a_thread.submission(2))
        assert await client.result(first, timeout=60) == 2
        assert await client.result(second, timeout=60) is None


async def test_what_ends_the_block_does_not_end_the_jobs_that_run(run: Commands) -> None:
    jobs = Jobs()
    running, ended = asyncio.Event(), asyncio.Event()

    @jobs.handler("slow")
    async def slow(_request: Request[None]) -> None:
        running.set()
        await asyncio.sleep(0.2)
        ended.set()

    async with Client.connect(run.settings) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what ends the block is the point
            async with Worker(jobs, run.settings):
                await client.submit(slow.submission(None))
                await running.wait()
                raise ZeroDivisionError
    assert ended.is_set()


def test_an_unknown_id_is_told(run: Commands) -> None:
    unknown = str(uuid4())
    with run.serving("projector"):
        submitted(run, type="nobody")
        assert run("status", unknown).refusal == f"there is no job {unknown}"
    assert run("status", "7").refusal == "'7' is no job id: an id has 32 hexadecimal digits"


def test_a_job_is_not_denied_while_no_projector_runs(run: Commands) -> None:
    submitted(run, type="nobody")
    refusal = run("status", str(uuid4())).refusal
    assert "is not known yet: the history is behind in" in refusal
    assert "is a projector running?" in refusal


async def test_a_thousand_times_submit_and_status_is_never_unknown(run: Commands) -> None:
    async def once(client: Client) -> JobStatus:
        job = await client.submit(Submission("nobody"))
        return await client.status(job)

    async with projecting(run.settings), Client.connect(run.settings) as client:
        for _ in range(20):
            found = await asyncio.gather(*(once(client) for _ in range(50)))
            assert {status.state for status in found} == {State.QUEUED}


async def test_without_a_projector_the_client_s_own_acknowledgement_answers(
    run: Commands,
) -> None:
    async with Client.connect(run.settings) as client:
        submission = Submission("nobody", entity="e")
        status = await client.status(await client.submit(submission))
    assert status.state is State.QUEUED
    assert status.as_of is not None
    assert (status.job_id, status.type, status.entity) == (submission.id, "nobody", "e")


@pytest.mark.parametrize(
    "command",
    [["status", str(uuid4())], ["projector"], ["migrate"], ["worker", "application:jobs"]],
)
def test_a_wrong_or_missing_database_is_told(run: Commands, command: list[str]) -> None:
    assert run(*command, JOBS_DATABASE=None).refusal.startswith("JOBS_DATABASE is not set: ")
    wrong = run(*command, JOBS_DATABASE="mysql://u:secret@host/x").refusal
    assert wrong.startswith("JOBS_DATABASE is wrong: it does not begin with postgresql://")
    assert "secret" not in wrong
    away = run(*command, JOBS_DATABASE=f"postgresql://u:secret@{NOBODY}/x").refusal
    assert NOBODY in away
    assert "secret" not in away
    url = run.variables["JOBS_DATABASE"].rsplit("/", 1)[0]
    missing = run(*command, JOBS_DATABASE=f"{url}/nowhere").refusal
    assert 'database "nowhere" does not exist' in missing


@pytest.mark.parametrize(
    "command", [["status", str(uuid4())], ["projector"], ["worker", "application:jobs"]]
)
def test_a_database_without_our_tables_says_what_to_do(run: Commands, command: list[str]) -> None:
    url = run.variables["JOBS_DATABASE"].rsplit("/", 1)[0]
    assert "processor migrate" in run(*command, JOBS_DATABASE=f"{url}/postgres").refusal


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nowhere:jobs", "there is no module nowhere in "),
        ("empty", "empty has no Jobs; make one, jobs = Jobs(), and name it: empty:jobs"),
        ("empty:jobs", "empty has no jobs; make one, jobs = Jobs()"),
        ("application:nothing", "application:nothing is a int, no Jobs; name what Jobs() made"),
        ("needy:jobs", "needy needs a module that is missing: nowhere_to_be_found"),
        ("broken:jobs", "broken cannot be imported: ZeroDivisionError: division by zero ("),
        ("unread:jobs", "unread cannot be imported: SyntaxError: "),
    ],
)
def test_an_application_that_cannot_be_used_is_told(run: Commands, named: str, said: str) -> None:
    assert run("worker", named).refusal.startswith(said)


def test_a_worker_needs_a_broker_and_a_database(run: Commands) -> None:
    refusal = run("worker", "application:jobs", JOBS_KAFKA=None).refusal
    assert refusal.startswith("JOBS_KAFKA is not set: ")
    refusal = run("worker", "application:jobs", JOBS_DATABASE=None).refusal
    assert refusal.startswith("JOBS_DATABASE is not set: ")
