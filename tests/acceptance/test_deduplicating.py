"""Is one dedupe key one job, whoever submits it, how often, and when?"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from processor import Client, JobId, Jobs, Priority, Request, State, Submission, Worker
from processor.bootstrap.projecting import projecting
from processor.bootstrap.pruning import pruner
from processor.bootstrap.tidying import janitor
from processor.domain.horizon import DAY
from processor.domain.priority import LANES
from tests.commands import Commands
from tests.inside import working
from tests.moved_clock import MovedClock

pytestmark = pytest.mark.timeout(240)

PROCESSES = 5
KEYS = 12
MINUTE = 60 * 1_000_000
SUBMITTER = """
import asyncio, os, sys
from processor import Client, Priority, Settings, Submission


async def main(me, keys):
    submissions = [
        Submission(
            "noted",
            [me, key],
            entity="shared" if key % 2 else None,
            dedupe_key=f"key {key}",
            priority=Priority((me + key) % 4),
        )
        for key in range(keys)
    ]
    async with Client.connect(Settings.from_env(os.environ)) as client:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for one in await client.submit(submissions):
            print(one)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


class Notes:
    """What a handler writes down that never touches the database, run by run."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "notes"
        self._file.touch()
        self.jobs = Jobs()
        self.jobs.register("noted", self._note)
        self.jobs.register("noted otherwise", self._note)
        self.jobs.register("last", self._last)

    async def _note(self, request: Request[Any]) -> Any:  # noqa: ANN401 - its payload
        await asyncio.sleep(0.01)
        with self._file.open("a") as file:
            file.write(json.dumps([str(request.job_id), request.payload]) + "\n")
        return request.payload

    async def _last(self, _: Request[None]) -> None: ...

    def runs(self) -> dict[str, list[Any]]:
        """The payloads that each job ran with."""
        found = defaultdict(list)
        for line in self._file.read_text().splitlines():
            job, payload = json.loads(line)
            found[job].append(payload)
        return found


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


async def test_a_duplicate_key_gets_the_first_id_from_five_processes_at_once_with_other_payloads_and_lanes_and_runs_once(  # noqa: E501
    ready: Commands, notes: Notes
) -> None:
    async with working(ready.settings, notes.jobs) as client:
        told = await at_once(ready)
        assert len(set(map(tuple, told))) == 1
        jobs = [JobId(UUID(job)) for job in told[0]]
        assert len(set(jobs)) == KEYS
        results = [await client.result(job, timeout=60) for job in jobs]
        await read(client, jobs)
        again = [again_as(result) for result in results]
        assert await client.submit(again, priority=Priority.CRITICAL) == jobs
        await read(client, jobs)
        assert [await client.result(job, timeout=60) for job in jobs] == results
        statuses = [await client.status(job) for job in jobs]
    assert notes.runs() == {str(job): [result] for job, result in zip(jobs, results, strict=True)}
    assert [key for _, key in results] == list(range(KEYS))
    assert {(one.state, one.attempts, one.generation) for one in statuses} == {
        (State.COMPLETE, 1, 1)
    }


def again_as(result: list[Any]) -> Submission:
    """What one of the processes submitted, with a payload that none of them had."""
    key = result[1]
    entity = "shared" if key % 2 else None
    return Submission("noted", ["later", key], entity=entity, dedupe_key=f"key {key}")


async def read(client: Client, jobs: list[JobId]) -> None:
    """Return when every record of these jobs has been read, and whatever it started has ended.

    The last job of an entity in a lane runs behind all of the entity that stand before it there.
    """
    entities = ["shared", *(str(job) for job in jobs[::2])]
    last = [
        Submission("last", entity=entity, priority=lane) for entity in entities for lane in LANES
    ]
    for job in await client.submit(last):
        await client.result(job, timeout=60)


async def at_once(run: Commands) -> list[list[str]]:
    """The ids that the processes got, which began to submit when all of them were ready."""
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", SUBMITTER, str(number), str(KEYS)),
            env=run.environment({"JOBS_DATABASE": None}),
            cwd=run.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    try:
        for one in started:
            assert one.stdout is not None
            while (line := await one.stdout.readline()) != b"ready\n":
                assert line, "it ended before it was ready"
        ended = await asyncio.gather(*(one.communicate(b"go\n") for one in started))
    finally:
        for one in started:
            with suppress(ProcessLookupError):
                one.kill()
    assert [one.returncode for one in started] == [0] * PROCESSES
    return [out.decode().split() for out, _ in ended]


async def test_a_dedupe_key_is_of_its_tenant_type_and_entity(ready: Commands, notes: Notes) -> None:
    first = Submission("noted", 0, entity="e", tenant="t", dedupe_key="k")
    others = [
        replace(first, payload=1, tenant="u"),
        replace(first, payload=2, tenant=None),
        replace(first, payload=3, type="noted otherwise"),
        replace(first, payload=4, entity="f"),
        replace(first, payload=5, entity=None),
        replace(first, payload=6, dedupe_key="K"),
    ]
    async with working(ready.settings, notes.jobs) as client:
        jobs = await client.submit([first, *others])
        assert len(set(jobs)) == 7
        assert [await client.result(job, timeout=60) for job in jobs] == list(range(7))
        same = replace(first, payload=7, priority=Priority.HIGH, attempts=1)
        assert await client.submit(same) == jobs[0]
    assert Counter(map(len, notes.runs().values())) == {1: 7}


async def test_a_key_means_the_first_job_for_seven_days_after_its_end_and_not_beyond(
    ready: Commands, notes: Notes
) -> None:
    settings, clock = ready.settings, MovedClock()

    def submission(payload: int) -> Submission:
        return Submission("noted", payload, entity="e", dedupe_key="k")

    async with AsyncExitStack() as held:
        await held.enter_async_context(projecting(settings))
        client = await held.enter_async_context(Client.connect(settings))
        keeper, cleaner = janitor(settings, clock, held), pruner(settings, clock, held)

        async def submitted(payload: int, result: int) -> JobId:
            async with Worker(notes.jobs, settings):
                job = await client.submit(submission(payload))
                await client.result(await client.submit(Submission("last", entity="e")), timeout=60)
                assert await client.result(job, timeout=60) == result
            return job

        first = await submitted(1, 1)
        clock.ahead = 7 * DAY - MINUTE
        await keeper.tidy()
        await cleaner.prune()
        assert await submitted(2, 1) == first
        clock.ahead = 7 * DAY + 10 * MINUTE
        await keeper.tidy()
        await cleaner.prune()
        assert await submitted(3, 3) == first
    assert notes.runs() == {str(first): [1, 3]}
