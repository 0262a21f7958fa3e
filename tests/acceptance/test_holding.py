"""Does what is held wait, and go on when it is released, whatever happens in between?

On the real stack, held and released from the command line.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from processor import Client, JobId, Jobs, Priority, Request, State, Submission
from processor.bootstrap.operating import holding
from processor.domain.ids import entity_key
from processor.ports.holds import HoldKind
from processor.runtime import holding as following
from tests.commands import Commands
from tests.inside import command, told, when, working
from tests.proofs import Record

pytestmark = pytest.mark.timeout(240)

HELD = {"type": "held", "entity": "E", "tenant": "T", "lane": "low"}
"""What is held of each kind, and by which each job below is held alone."""
SUBMISSIONS = {
    "type": Submission("held"),
    "entity": Submission("works", entity="E"),
    "tenant": Submission("works", tenant="T"),
    "lane": Submission("works", priority=Priority.LOW),
    "nothing": Submission("works", entity="F", tenant="U", priority=Priority.HIGH),
}
BECAUSE = ("--by", "ada", "--because", "the gate is closed")


class Ran:
    """Handlers that say what ran."""

    def __init__(self) -> None:
        self.times: Counter[JobId] = Counter()
        self.jobs = Jobs()
        for type_ in ("held", "works"):
            self.jobs.register(type_, self.works)

    async def works(self, request: Request[None]) -> None:
        self.times[request.job_id] += 1


async def works(client: Client) -> None:
    """Return when a job that nothing holds has come through, behind everything before it."""
    await client.result(await client.submit(Submission("works")), timeout=60)


async def test_a_held_type_entity_tenant_and_lane_each_wait_over_a_restart_and_go_on_when_released(
    ready: Commands,
) -> None:
    ran = Ran()
    commands = [command(ready, "hold", *one, *BECAUSE) for one in HELD.items()]
    for (kind, value), held in zip(HELD.items(), await asyncio.gather(*commands), strict=True):
        assert held.out.startswith(f"{kind} {value} is held until it is released, since ")
    async with working(ready.settings, ran.jobs) as client:
        jobs = {kind: await client.submit(one) for kind, one in SUBMISSIONS.items()}
        await client.result(jobs.pop("nothing"), timeout=60)
        await works(client)
    async with working(ready.settings, ran.jobs) as client:
        await works(client)
        # Behind what is held its entity waits as well.
        behind = await client.submit(Submission("works", entity="E"))
        assert not ran.times.keys() & jobs.values()
        (shown,) = await told(ready, "status", str(jobs["type"]))
        held_by = "the release of type held, held by ada: the gate is closed"
        assert (shown["state"], shown["waits_for"]) == ("queued", held_by)
        for kind, job in list(jobs.items()):
            await works(client)
            status = await client.status(job)
            why = f"the release of {kind} {HELD[kind]}, held by ada: the gate is closed"
            assert (status.state, status.waits_for) == (State.QUEUED, why)
            (released,) = await told(ready, "release", kind, HELD[kind], "--because", "it is open")
            assert released == {"kind": kind, "value": HELD[kind], "released": True}
            await client.result(job, timeout=60)
            del jobs[kind]
            assert not ran.times.keys() & jobs.values()
        await client.result(behind, timeout=60)
    again = await command(ready, "release", "type", "held", "--because", "why")
    assert again.refusal == "no hold of type held is open"
    assert set(ran.times.values()) == {1}


async def test_a_hold_ends_by_itself_at_the_time_that_it_was_given(ready: Commands) -> None:
    ran = Ran()
    until = datetime.now(UTC) + timedelta(seconds=4)
    (held,) = await told(ready, "hold", "type", "held", *BECAUSE, "--until", until.isoformat())
    assert datetime.fromisoformat(held["until"]) == until
    async with working(ready.settings, ran.jobs) as client:
        job = await client.submit(Submission("held"))
        await works(client)
        status = await when(client, job, lambda status: status.state is State.COMPLETE)
    assert status.current.started_at is not None
    assert status.current.started_at >= until.timestamp() * 1_000_000
    again = await command(ready, "release", "type", "held", "--because", "why")
    assert again.refusal == "no hold of type held is open"


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize(
    "sweep_every",
    [
        pytest.param(0.5, id="swept soon"),
        pytest.param(following.SWEEP_EVERY, id="swept in time", marks=pytest.mark.long),
    ],
)
async def test_a_job_that_is_parked_only_after_its_hold_was_released_goes_on(
    ready: Commands, sweep_every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SWEEP_EVERY", sweep_every)
    ran = Ran()
    database = await asyncpg.connect(ready.settings.need_database())
    await command(ready, "hold", "type", "held", *BECAUSE)
    try:
        async with working(ready.settings, ran.jobs) as client:
            # Whoever holds the entity's lock keeps the worker from parking its job.
            await database.execute("SELECT pg_advisory_lock($1)", entity_key(None, "E"))
            job = await client.submit(Submission("held", entity="E"))
            await works(client)
            await command(ready, "release", "type", "held", *BECAUSE)
            await client.result(await client.submit(Submission("held", entity="F")), timeout=60)
            assert job not in ran.times
            parked = "SELECT count(*) FROM jobs.waiting WHERE job = $1"
            assert await database.fetchval(parked, job) == 0
            await database.execute("SELECT pg_advisory_unlock($1)", entity_key(None, "E"))
            assert await client.result(job, timeout=90) is None
    finally:
        await database.close()
    assert set(ran.times.values()) == {1}


@pytest.mark.parametrize(
    "times", [pytest.param(8, id="few"), pytest.param(200, id="many", marks=pytest.mark.long)]
)
@pytest.mark.timeout(900)
async def test_jobs_go_on_once_and_in_order_whenever_they_are_held_and_released(
    ready: Commands, times: int, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    record_property("runs", times)
    monkeypatch.setattr(following, "READ_EVERY", 0.05)
    monkeypatch.setattr(following, "SWEEP_EVERY", 0.5)
    chance, ran = random.Random(7), Ran()
    submitted: dict[str, list[JobId]] = {f"E{number}": [] for number in range(5)}
    async with working(ready.settings, ran.jobs) as client, holding(ready.settings) as holds:
        for _ in range(times):
            kind = HoldKind(chance.choice(list(HELD)))
            value = "E0" if kind is HoldKind.ENTITY else HELD[kind]
            await holds.hold(kind, value, "ada", "for a moment")
            for _ in range(5):
                entity = chance.choice(list(submitted))
                one = Submission("held", entity=entity, tenant="T", priority=Priority.LOW)
                submitted[entity].append(await client.submit(one))
                await asyncio.sleep(chance.random() * 0.05)
            assert await holds.release((kind, value), "ada", "it was long enough")
            await asyncio.sleep(chance.choice((0.0, 0.0, chance.random() * 0.2)))
        for job in (job for line in submitted.values() for job in line):
            await client.result(job, timeout=90)
    order = list(ran.times)
    for line in submitted.values():
        assert [job for job in order if job in line] == line
    assert set(ran.times.values()) == {1}
