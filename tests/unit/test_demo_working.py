"""When is a run of the demo over, when is it stuck, and when is a worker killed?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from processor.demo.showing import Standing
from processor.demo.watching import Watch
from processor.demo.working import LETTER_SECONDS, STALL_SECONDS, Run, Wanted
from processor.domain.errors import ProcessorError
from processor.domain.ids import JobId
from processor.domain.priority import LANES
from processor.staging.children import Child, Children

FLIGHTS = 90


class Told(Watch):
    """Answers as it is told."""

    def __init__(self) -> None:
        self.now = standing(0)
        self.in_history = 0
        self.dead = 0

    async def standing(self, seconds: float) -> Standing:
        return self.now

    async def histories(self) -> int:
        return self.in_history

    async def failed(self) -> int:
        return self.dead


SLEEP = "import time; time.sleep(1000)"


class Sleepers(Children):
    """Starts processes that sleep, whatever is asked for."""

    async def start(self, name: str, *arguments: str, **changed: str) -> Child:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEP)
        child = Child(name, process, self._folder / name)
        self._children.append(child)
        return child


def standing(ended: int, projected: int = 0, dead: int = 0, seconds: float = 1.0) -> Standing:
    lanes = dict.fromkeys(LANES, 0) | {LANES[0]: ended}
    return Standing(seconds, lanes, lanes, dead, projected)


@asynccontextmanager
async def run(folder: Path, *, workers: int = 1, kill: bool = False) -> AsyncIterator[Run]:
    async with Sleepers(folder, {}) as children:
        made = Run(Wanted(FLIGHTS, workers, kill), Console(quiet=True), children, Told())
        for _ in range(workers):
            await made.start_worker()
        yield made
        for worker in made.workers:
            if worker.alive:
                await worker.kill()


async def look(
    of: Run, now: Standing, *, histories: int = 0, failed: int = 0, submitted: bool = True
) -> bool:
    assert isinstance(of.watch, Told)
    of.watch.now, of.watch.in_history, of.watch.dead = now, histories, failed
    submitting: asyncio.Task[list[JobId]] = asyncio.create_task(submit(submitted=submitted))
    await asyncio.sleep(0)
    try:
        return await of.over(lambda _: None, submitting)
    finally:
        submitting.cancel()


async def submit(*, submitted: bool) -> list[JobId]:
    if not submitted:
        await asyncio.Event().wait()
    return [JobId(uuid4())]


async def test_it_is_over_when_every_job_has_ended_in_the_ledger_and_the_history(
    tmp_path: Path,
) -> None:
    async with run(tmp_path) as made:
        assert not await look(made, standing(FLIGHTS - 1, FLIGHTS), histories=FLIGHTS)
        assert not await look(made, standing(FLIGHTS, FLIGHTS - 1), histories=FLIGHTS)
        assert await look(made, standing(FLIGHTS, FLIGHTS), histories=FLIGHTS)


async def test_copies_in_the_journal_do_not_count_as_histories(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        assert not await look(made, standing(FLIGHTS, FLIGHTS + 5), histories=FLIGHTS - 1)


async def test_it_is_not_over_while_flights_are_still_submitted(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        now = standing(FLIGHTS, FLIGHTS)
        assert not await look(made, now, histories=FLIGHTS, submitted=False)


async def test_a_dead_letter_that_is_on_its_way_is_waited_for_but_not_for_ever(
    tmp_path: Path,
) -> None:
    async with run(tmp_path) as made:
        missing = standing(FLIGHTS, FLIGHTS, dead=1)
        assert not await look(made, missing, histories=FLIGHTS, failed=2)
        assert await look(made, standing(FLIGHTS, FLIGHTS, dead=2), histories=FLIGHTS, failed=2)
        late = standing(FLIGHTS, FLIGHTS, dead=1, seconds=1000)
        await look(made, late, histories=FLIGHTS, failed=2)
        later = standing(FLIGHTS, FLIGHTS, dead=1, seconds=1001 + LETTER_SECONDS)
        assert await look(made, later, histories=FLIGHTS, failed=2)


async def test_a_run_in_which_nothing_moves_is_stuck(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        await look(made, standing(10, seconds=1))
        await look(made, standing(10, seconds=STALL_SECONDS))
        with pytest.raises(ProcessorError, match="nothing has moved"):
            await look(made, standing(10, seconds=STALL_SECONDS + 2))


async def test_a_process_that_ends_unasked_ends_the_run_with_its_last_lines(
    tmp_path: Path,
) -> None:
    async with run(tmp_path) as made:
        (worker,) = made.workers
        worker.output.write_text("first\nlast words\n")
        worker.process.kill()
        await worker.process.wait()
        with pytest.raises(ProcessorError, match=r"worker 1 ended with exit code -9(.|\n)*last w"):
            await look(made, standing(1))
        worker.killed = True


async def test_one_worker_of_two_is_killed_once_a_third_is_done(tmp_path: Path) -> None:
    async with run(tmp_path, workers=2, kill=True) as made:
        await look(made, standing(FLIGHTS // 3 - 1))
        assert [worker.alive for worker in made.workers] == [True, True]
        await look(made, standing(FLIGHTS // 3))
        await look(made, standing(FLIGHTS // 3 + 1))
        assert [worker.alive for worker in made.workers] == [False, True]


async def test_the_only_worker_that_is_killed_gets_a_successor(tmp_path: Path) -> None:
    async with run(tmp_path, kill=True) as made:
        await look(made, standing(FLIGHTS // 2))
        assert [worker.alive for worker in made.workers] == [False, True]


async def test_a_kill_that_comes_too_late_is_no_kill_in_the_middle(tmp_path: Path) -> None:
    async with run(tmp_path, kill=True) as made:
        with pytest.raises(ProcessorError, match="over before"):
            await look(made, standing(FLIGHTS))
