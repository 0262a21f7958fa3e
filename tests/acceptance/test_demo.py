"""`processor demo`: it agrees, it notices when it does not, and it leaves nothing running."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from processor.local.stack import Stack

LIMIT = 60.0
"""Seconds after which what should have come counts as lost."""

MARK = "DEMO_OF_A_TEST"

# A second effect of one job, as a broken ledger would let it through.
TWICE = "INSERT INTO flights.flight SELECT * FROM flights.flight LIMIT 1"


@dataclass
class Demo:
    """A running `processor demo`."""

    process: subprocess.Popen[str]
    mark: str
    lines: list[str] = field(default_factory=list)

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
        pytest.fail(f"{text!r} was never said:\n{self.said}")

    def end(self) -> int:
        """Return the exit code, with everything it said read."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout.readlines()
        return self.process.wait(LIMIT)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def family(self) -> list[psutil.Process]:
        """Return all processes that it started, and itself, wherever they hang by now."""
        return [one for one in psutil.process_iter() if _environment(one).get(MARK) == self.mark]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@contextmanager
def demo(stack: Stack, *arguments: str) -> Iterator[Demo]:
    mark = secrets.token_hex(8)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    named = {"JOBS_KAFKA": stack.kafka, "JOBS_DATABASE": stack.database, "JOBS_REPLICATION": "1"}
    # A demo that is killed cannot take its folder of logs away: it lies in ours.
    with (
        TemporaryDirectory(prefix="demo-of-a-test-") as logs,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "processor", "demo", *arguments],
            env=ours | named | {MARK: mark, "TMPDIR": logs},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        running = Demo(process, mark)
        try:
            yield running
        finally:
            for left in running.family():
                left.kill()


def all_ended(processes: list[psutil.Process]) -> bool:
    """Whether they end by themselves while there is time enough."""
    return psutil.wait_procs(processes, timeout=LIMIT)[1] == []


async def databases(stack: Stack) -> set[str]:
    connection = await asyncpg.connect(stack.database)
    try:
        names = await connection.fetch("SELECT datname FROM pg_database WHERE datname ~ '^demo-'")
        return {name for (name,) in names}
    finally:
        await connection.close()


async def work_one_flight_twice(stack: Stack, before: set[str]) -> None:
    """Wait for the first flight of the demo that is starting and write it down once more."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        for name in await databases(stack) - before:
            url = urlsplit(stack.database)._replace(path=f"/{name}").geturl()
            connection = await asyncpg.connect(url)
            try:
                if await connection.execute(TWICE) == "INSERT 0 1":
                    return
            except asyncpg.UndefinedTableError:
                pass
            finally:
                await connection.close()
    pytest.fail("no flight was worked")


def test_every_aircraft_agrees_and_the_lives_of_two_jobs_are_told(stack: Stack) -> None:
    with demo(stack, "--flights", "1000") as running:
        assert running.end() == 0, running.said
        assert running.family() == []
    assert "Agrees for every aircraft" in running.said
    for lane in ("critical", "high", "normal", "low"):
        assert f"{lane} " in running.said
    life, _, dead = running.said.partition("The life of a dead one")
    assert "complete" in life.partition("The life of a finished job")[2]
    assert "air_time" in dead, "the field that does not fit is named"


@pytest.mark.long
def test_a_killed_worker_changes_nothing_of_what_agrees(stack: Stack) -> None:
    with demo(stack, "--flights", "3000", "--workers", "2", "--kill") as running:
        assert running.end() == 0, running.said
        assert running.family() == []
    assert "killed worker 1" in running.said
    assert "Agrees for every aircraft" in running.said


def test_a_second_effect_of_one_job_makes_the_demo_fail(stack: Stack) -> None:
    before = asyncio.run(databases(stack))
    with demo(stack, "--flights", "1000") as running:
        asyncio.run(work_one_flight_twice(stack, before))
        assert running.end() == 1, running.said
    assert "Does not agree: 1 differences." in running.said
    assert "rows of flights: expected " in running.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_ends_everything_it_started(
    stack: Stack, number: signal.Signals
) -> None:
    with demo(stack, "--all") as running:
        running.read_until("jobs/s")
        family = running.family()
        assert len(family) >= 3, "itself, a worker, a projector"
        running.process.send_signal(number)
        assert running.end() == 130, running.said
        assert running.family() == []
    assert "Traceback" not in running.said


def test_sigterm_ends_everything_also_where_a_script_put_it_into_the_background(
    stack: Stack,
) -> None:
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited, as from `command &`
    try:
        with demo(stack, "--all") as running:
            running.read_until("jobs/s")
            running.process.terminate()
            assert running.end() == 130, running.said
            assert running.family() == []
    finally:
        signal.signal(signal.SIGINT, heard)
    assert "Traceback" not in running.said


def test_its_processes_end_even_when_it_is_killed(stack: Stack) -> None:
    with demo(stack, "--all") as running:
        running.read_until("jobs/s")
        family = running.family()
        running.process.kill()
        assert all_ended(family)


def test_a_broker_that_does_not_answer_is_one_clear_line(stack: Stack) -> None:
    nobody = Stack(stack.folder, "127.0.0.1:1", stack.database)
    with demo(nobody, "--flights", "10") as running:
        assert running.end() == 2
        assert running.family() == []
    assert "127.0.0.1:1" in running.said
    assert "Traceback" not in running.said
