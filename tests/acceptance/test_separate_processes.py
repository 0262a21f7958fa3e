"""Do separate processes work everything exactly once and in order, whoever of them is killed?"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.local import account
from processor.local.stack import Stack, find
from tests.commands import Commands
from tests.feeding import kind_of
from tests.separate import Separately, separately

PARTITIONS = 4
SESSION_SECONDS = 3
JOBS = 20_000
KILLS = 10


@contextmanager
def processor_local(folder: Path) -> Iterator[tuple[Stack, dict[str, str]]]:
    """`processor local` as a process of its own, and the environment in which it is found."""
    variables = {
        "JOBS_LOCAL": str(folder),
        "JOBS_PARTITIONS": str(PARTITIONS),
        "JOBS_SESSION_TIMEOUT": str(SESSION_SECONDS),
    }
    starter = Commands(variables, folder.parent)
    small = ("--heap", "384m", "--buffers", "128MB")
    with starter.start("local", *small) as local:
        try:
            assert local.stdout is not None
            line = local.stdout.readline().decode()
            stack = find(folder)
            assert stack is not None, line
            yield stack, variables
            local.send_signal(signal.SIGINT)
            out, err = local.communicate(timeout=60)
            assert (local.returncode, out) == (0, b"stopped\n"), err
        finally:
            if local.poll() is None:
                local.send_signal(signal.SIGTERM)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Commands, Stack]]:
    folder = Path(tempfile.mkdtemp(prefix="job-processor-"))
    folder.chmod(0o711)
    try:
        with processor_local(folder / "data") as (stack, variables):
            yield Commands(variables, tmp_path), stack
    finally:
        account.forget(folder / "data")
        shutil.rmtree(folder)


async def status_of(line: Separately, number: int) -> dict[str, object]:
    """What `processor status` tells of the job of a line."""
    ended = await asyncio.to_thread(
        line.run, "status", str(line.submitting.acked[number]), "--json"
    )
    assert ended.code == 0, ended
    told: dict[str, object] = json.loads(ended.out)
    return told


def number_of(kind: str) -> int:
    return next(number for number in range(100) if kind_of(number) == kind)


@pytest.mark.timeout(240)
async def test_separate_processes_work_everything_once_and_in_order_whoever_is_killed(
    place: tuple[Commands, Stack], record_property: Callable[[str, object], None]
) -> None:
    commands, stack = place
    async with separately(commands, stack.kafka, stack.database) as line:
        first, second, projector = line.worker(), line.worker(), line.start("projector")
        async with line.fed():
            await line.has_worked(first, second)
            seconds = await line.kill(first)
            record_property("seconds_from_kill_to_work_elsewhere", seconds)
            third = line.worker()
            await line.look()
            await line.has_worked(second, third)
            await second.stop(signal.SIGINT)
            await line.has_worked(third)
            await line.look()
        await line.ended()
        assert (await status_of(line, number_of("effect")))["state"] == "complete"
        assert (await status_of(line, number_of("plain")))["state"] == "complete"
        failed = await status_of(line, number_of("fails"))
        assert (failed["state"], failed["reason"]) == ("failed", "HandlerFailed")
        unparsed = await status_of(line, number_of(""))
        assert (unparsed["state"], unparsed["reason"]) == ("failed", "ParseError")
        for process in (third, projector):
            await process.stop(signal.SIGINT)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_twenty_thousand_jobs_outlive_ten_kills(
    place: tuple[Commands, Stack], record_property: Callable[[str, object], None]
) -> None:
    commands, stack = place
    chance = random.Random(7)
    waits = []
    async with separately(commands, stack.kafka, stack.database) as line:
        line.start("projector")
        workers = [line.worker(), line.worker(), line.worker()]
        async with line.fed(JOBS):
            await line.has_worked(*workers)
            for kill in range(KILLS):
                victim = workers.pop(chance.randrange(len(workers)))
                waits.append(await line.kill(victim))
                workers.append(line.worker())
                await line.has_worked(workers[-1])
                await line.has_settled(chance.randrange(JOBS // KILLS // 4))
                if kill % 4 == 1:
                    await line.look()
        seen = await line.ended()
    assert len(seen.tables.ledger) >= JOBS
    record_property("seconds_from_kill_to_work_elsewhere", waits)
