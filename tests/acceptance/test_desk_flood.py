"""Do forty thousand dead letters of an outage come back, whoever of the runners is killed?"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from processor import Client, JobId, Jobs, Request, Retry, Submission
from processor.domain.selection import Selection
from processor.local.stack import Stack
from processor.ports.plans import PlanState
from tests.commands import Commands, commands
from tests.inside import command, told, working

pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]

JOBS, ENTITIES, CANARY = 40_000, 4_000, 20
PAY = Selection(type="pay")


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("flood")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


class Service:
    """An outside service that answers 503 until somebody mends it."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.up = False
        self.paid: list[JobId] = []
        self.jobs.register("pay", self.pay, retry=Retry(attempts=1), breaker=None)

    async def pay(self, request: Request[None]) -> None:
        if not self.up:
            raise ConnectionError("503")
        self.paid.append(request.job_id)


class Times:
    """How long each part took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what], self._began = round(now - self._began, 2), now


def peak_of(process: int) -> float:
    """The most memory that a process ever had, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def asked(run: Commands, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(run.settings.need_database())
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 600) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def look(run: Commands, times: Times) -> None:
    """What an operator asks first, with all the letters there."""
    (group,) = await told(run, "dead-letters", "groups")
    times.lap("groups")
    assert (group["letters"], group["type"]) == (JOBS, "pay")
    page = await told(run, "dead-letters", "list", "--limit", "1000")
    times.lap("list of 1,000")
    assert len(page) == 1000
    dry = await command(run, "dead-letters", "replay", "--type", "pay", "--dry-run")
    times.lap("dry run")
    assert f"{JOBS:,} dead letters of {ENTITIES:,} entities are chosen" in dry.out


async def try_while_down(run: Commands) -> set[JobId]:
    """A plan whose canary stops it; the jobs that were replayed."""
    words = ("--type", "pay", "--by", "ada", "--because", "the service is back")
    canary = ("--canary", str(CANARY), "--stop-above", "10%", "--expect", str(JOBS))
    stopped = await command(run, "dead-letters", "replay", *words, *canary)
    assert stopped.code == 2, stopped
    assert f"stopped by the canary after {CANARY} of {JOBS:,}" in stopped.err
    second = await asked(run, "SELECT job FROM jobs.ledger WHERE generation = 2")
    assert len(second) == CANARY
    return {JobId(job) for (job,) in second}


async def resume_and_kill(run: Commands, client: Client, plan: int) -> float:
    """Let a process go on with it and kill that when half is done; its memory at its peak."""
    resumed = await asyncio.to_thread(
        run.start, "plans", "resume", str(plan), "--because", "it is up"
    )

    async def half() -> bool:
        seen = await client.plans.get(plan)
        assert resumed.poll() is None, seen  # it neither failed nor was stopped
        return seen.done >= JOBS // 2

    await until(half)
    peak = peak_of(resumed.pid)
    resumed.kill()
    await asyncio.to_thread(resumed.communicate)
    assert JOBS // 2 <= (await client.plans.get(plan)).done < JOBS
    return peak


async def test_forty_thousand_dead_letters_of_an_outage_come_back_once_and_in_order(
    run: Commands,
) -> None:
    service, times = Service(), Times()
    async with working(run.settings, service.jobs) as client:
        jobs = await client.submit(
            Submission("pay", entity=f"E{number % ENTITIES}") for number in range(JOBS)
        )

        async def all_dead() -> bool:
            return (await client.dead_letters.count(PAY)).letters == JOBS

        await until(all_dead)
        times.lap("all are dead")
        await look(run, times)
        canary = await try_while_down(run)
        times.lap("plan made, canary stopped it")
        service.up = True
        (plan,) = await client.plans.recent()
        peak = await resume_and_kill(run, client, plan.id)
        times.lap("half is replayed, runner killed")

        async def ended() -> bool:
            return (await client.plans.get(plan.id)).state is not PlanState.RUNNING

        await until(ended)
        times.lap("a worker has replayed the rest")
        plan = await client.plans.get(plan.id)
        assert (plan.state, plan.done, plan.refused) == (PlanState.COMPLETE, JOBS, 0)

        async def all_paid() -> bool:
            return len(service.paid) >= JOBS - CANARY

        await until(all_paid)
        times.lap("all are paid")
    assert Counter(service.paid) == dict.fromkeys([job for job in jobs if job not in canary], 1)
    place = {job: number for number, job in enumerate(jobs)}
    of_entity: defaultdict[int, list[int]] = defaultdict(list)
    for job in service.paid:
        of_entity[place[job] % ENTITIES].append(place[job])
    assert [paid for paid in of_entity.values() if paid != sorted(paid)] == []
    ends = await asked(
        run, "SELECT generation, outcome::text, count(*) FROM jobs.ledger GROUP BY 1, 2"
    )
    assert sorted(ends) == [(1, "f", JOBS), (2, "c", JOBS - CANARY), (2, "f", CANARY)]
    firsts = await asked(
        run,
        "SELECT actor, reason, plan, count(*), count(DISTINCT job) FROM jobs.operation"
        " WHERE kind = 'replay' GROUP BY 1, 2, 3",
    )
    assert firsts == [("ada", "the service is back", plan.id, JOBS, JOBS)]
    sys.stdout.write(json.dumps({"seconds": times.seconds, "peak, MB": round(peak, 1)}) + "\n")
    assert peak < 200
