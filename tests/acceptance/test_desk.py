"""Does the desk do to many dead letters what its operator wants, and say so?"""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor import Client, JobId, Jobs, Request, Retry, State, Submission
from processor.domain.ids import dead_letter_id
from processor.domain.selection import Selection
from processor.local.stack import Stack
from tests.commands import Commands, commands
from tests.inside import command, dead, told, when, working

pytestmark = pytest.mark.timeout(240)

PAY = Selection(type="pay")
LETTER = "01234567-89ab-cdef-0123-456789abcdef"
APPLICATION = """
from pydantic import BaseModel

from processor import Jobs, Request, Retry, Submission

jobs = Jobs()


class Bill(BaseModel):
    amount: int
    currency: str


@jobs.handler("bill", retry=Retry(attempts=1))
async def bill(request: Request[Bill]) -> int:
    connection = await request.connection()
    await connection.execute("CREATE TABLE IF NOT EXISTS paid (amount int)")
    await connection.execute("INSERT INTO paid VALUES ($1), ($1)", request.payload.amount)
    await request.progress(50, "half")
    request.submit(Submission("receipt", {"of": request.payload.amount}))
    if request.payload.currency != "EUR":
        raise ValueError(request.payload.currency)
    return request.payload.amount
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("desk")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


class Service:
    """A handler of an outside service that is down until a test mends it."""

    def __init__(self, type_: str = "pay") -> None:
        self.jobs = Jobs()
        self.up = False
        self.ran: list[JobId] = []
        self.jobs.register(type_, self.pay, retry=Retry(attempts=1), breaker=None)

    async def pay(self, request: Request[None]) -> None:
        if not self.up:
            raise ConnectionError("503")
        self.ran.append(request.job_id)


async def taken(client: Client, selection: Selection, letters: int) -> None:
    """Wait until the newest plan is of that selection and has taken so many letters."""
    async with asyncio.timeout(60):
        while not any(  # noqa: ASYNC110 - nobody tells
            plan.selection == selection and plan.done >= letters
            for plan in await client.plans.recent(1)
        ):
            await asyncio.sleep(0.05)


async def test_a_plan_stops_with_its_canary_while_all_is_down_and_completes_though_a_runner_dies(
    run: Commands,
) -> None:
    service = Service()
    async with working(run.settings, service.jobs) as client:
        jobs = await client.submit(
            [Submission("pay", entity=f"E{number % 25}") for number in range(200)]
        )
        await dead(client, Selection(type="pay"), 200)
        (group,) = await told(run, "dead-letters", "groups", "--type", "pay")
        assert (group["letters"], group["release"], group["overtaken"]) == (200, "unnamed", 0)
        chosen = ("dead-letters", "replay", "--type", "pay")
        dry = await command(run, *chosen, "--dry-run")
        assert "200 dead letters of 25 entities are chosen (type pay); nothing was done" in dry.out
        who = ("--by", "ada", "--because", "it is mended")
        canary = ("--canary", "20", "--stop-above", "10%", "--expect", "200", "--rate", "80")
        stopped = await command(run, *chosen, *who, *canary)
        assert stopped.code == 2, stopped
        number = stopped.err.partition("plan ")[2].partition(":")[0]
        assert f"plan {number} was stopped by the canary after 20 of 200" in stopped.err
        assert f"go on with: processor plans resume {number} --because TEXT" in stopped.err
        records = await asyncio.to_thread(run.records)
        replayed = {one.job for one in records if one.generation == 2} & {*jobs}
        assert len(replayed) == 20
        service.up = True
        resume = ("plans", "resume", number, "--by", "bob", "--because", "it is up")
        resumed = await asyncio.to_thread(run.start, *resume)
        await taken(client, PAY, 21)
        resumed.kill()  # a worker goes on with it
        await asyncio.to_thread(resumed.communicate)
        others = [job for job in jobs if job not in replayed]
        for job in others:
            status = await when(client, job, lambda one: one.state is State.COMPLETE)
            assert status.generation == 2
        for entity in range(25):
            mine = [job for job in jobs[entity::25] if job not in replayed]
            assert [job for job in service.ran if job in mine] == mine
        (plan,) = await told(run, "plans", "show", number)
        assert (plan["state"], plan["done"], plan["refused"]) == ("complete", 200, 0)
        listed = await command(run, "plans", "list")
        assert "type pay" in listed.out
        audited = await told(run, "audit", "--since", "1h")
        assert [(one["kind"], one["by"]) for one in audited][:3] == [
            ("resume", "bob"),
            ("stop", "the canary"),
            ("plan", "ada"),
        ]
        of_one = await told(run, "audit", "--job", str(others[50]))
        assert [(one["kind"], one["by"], str(one["plan"])) for one in of_one] == [
            ("replay", "ada", number)
        ]


async def test_ctrl_c_stops_a_plan_and_says_how_to_go_on(run: Commands) -> None:
    service = Service("toll")
    async with working(run.settings, service.jobs) as client:
        jobs = await client.submit([Submission("toll", tenant="ctrl") for _ in range(60)])
        await dead(client, Selection(tenant="ctrl"), 60)
        words = ("dead-letters", "replay", "--tenant", "ctrl", "--because", "up", "--rate", "5")
        started = await asyncio.to_thread(run.start, *words)
        await taken(client, Selection(tenant="ctrl"), 1)
        started.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(started.communicate)
        assert started.returncode == 130
        (plan,) = await client.plans.recent(1)
        assert (plan.state, plan.ended_because) == ("stopped", "Ctrl-C")
        assert 0 < plan.done < len(jobs)
        assert f"go on with: processor plans resume {plan.id} --because TEXT" in err.decode()


async def test_a_dead_letter_is_rehearsed_edited_and_becomes_a_test(
    run: Commands,
) -> None:
    (run.folder / "billing.py").write_text(APPLICATION)
    space: dict[str, Jobs] = {}
    exec(APPLICATION, space)  # noqa: S102 - the same application
    async with working(run.settings, space["jobs"]) as client:
        job = await client.submit(Submission("bill", {"amount": 5, "currency": "XXX"}))
        await when(client, job, lambda one: one.state is State.FAILED)
        letter = str(dead_letter_id(job, 1))
        rehearsed = await command(
            run, "dead-letters", "rehearse", letter, "billing:jobs", "--as-test", "test_bill.py"
        )
        assert rehearsed.code == 1, rehearsed
        assert ".paid: 2 rows inserted, 0 updated, 0 deleted" in rehearsed.out
        assert "would submit receipt" in rehearsed.out
        assert "progress 50 % half" in rehearsed.out
        assert "ValueError: XXX" in rehearsed.out
        failing = await asyncio.to_thread(pytest_in, run, "test_bill.py")
        assert failing.returncode == 1
        assert b"ValueError: XXX" in failing.stdout
        edited = ("dead-letters", "edit", letter, "--because", "a typing error", "--by", "ada")
        misfit = await command(run, *edited, "--set", 'amount="five"', "--check", "billing:jobs")
        assert "it does not fit the handler's model: amount: " in misfit.refusal
        dry = await command(run, *edited, "--set", 'currency="EUR"', "--dry-run")
        assert dry.out == 'currency: "XXX" -> "EUR"\n'
        done = await command(run, *edited, "--set", 'currency="EUR"', "--check", "billing:jobs")
        assert done.code == 0, done
        assert f"{letter} replayed: generation 2 of job {job}" in done.out
        status = await when(client, job, lambda one: one.state is State.COMPLETE)
        assert status.current.result == b"5"
        shown = await command(run, "status", str(job))
        assert 'replayed by ada: a typing error; edited: currency from "XXX" to "EUR"' in shown.out
        (audited,) = await told(run, "audit", "--kind", "edit")
        assert (audited["job"], audited["by"]) == (str(job), "ada")


def pytest_in(run: Commands, file: str) -> subprocess.CompletedProcess[bytes]:
    """The suite that a user would have beside his application."""
    (run.folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", file],
        cwd=run.folder,
        env=run.environment({"PYTHONPATH": f"{Path(__file__).parents[2]}:."}),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dead-letters", "replay", "--discarded", "--because", "x"], "say which dead letters to"),
        (["dead-letters", "replay", "--type", "a", "--stop-above", "x"], "'x' is no share: write"),
        (["dead-letters", "replay", "--type", "a", "--after", "noon"], "'noon' is no time: write"),
        (
            ["dead-letters", "list", "--before", "2013-01-01T00:00"],
            "'2013-01-01T00:00' has no time",
        ),
        (["dead-letters", "edit", LETTER, "--because", "x"], "say what it should be: either"),
        (["dead-letters", "edit", LETTER, "--set", "a=EUR", "--because", "x"], "a is no JSON:"),
        (["dead-letters", "rehearse", LETTER, "nothing.here:jobs"], "there is no module nothing"),
        (["plans", "show", "7000"], "no plan has the number 7000"),
        (["plans", "stop", "7000"], "say why, for whoever looks later"),
        (["audit", "--kind", "dance"], "'dance' is nothing that is audited; use one of replay,"),
        (["audit", "--since", "soon"], "'soon' is no time: write it as 2013-01-31T12:00Z, or 90m"),
    ],
)
def test_bad_input_is_told_in_one_line(run: Commands, words: list[str], said: str) -> None:
    assert run(*words).refusal.startswith(said)
