"""Do follow-ups exist if and only if their parent committed?

Real worker processes are killed while parents stand still at the steps of their attempts; every run
ends with all invariants.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from processor import Client, JobId, JobNotFound, Priority, State, Submission
from processor.domain.ids import follow_up_of
from tests import standing
from tests.commands import Commands
from tests.proofs import Record
from tests.separate import Process, Separately, separately

ROOT = Path(__file__).parents[2]
SESSION_SECONDS = "3"

ALONGSIDE = {
    "later parent": (
        "waiting_room.record before",
        "waiting_room.record after",
        "transaction.complete after",
        "log.append before",
        "log.append one follow-up too",
        "waiting_room.remove before",
        "waiting_room.remove after",
    ),
    "plain parent": (
        "handler before",
        "handler after",
        "log.append the outcome alone",
        "log.append all but the outcome",
    ),
    "failing parent": (
        "handler after",
        "ledger.fail before",
        "ledger.fail after",
        "log.append before",
        "log.append after",
    ),
    "parent": (
        "log.append before",
        "log.append one follow-up too",
        "log.append after",
        "transaction.complete after",
        "handler before",
        "transactions.begin before",
        "transactions.begin after",
        "handler after",
        "transaction.complete before",
    ),
}
"""Steps at which many parents can stand at once."""
ALONE = (
    (("parent", "ownership.advance before"), ("plain parent", "ledger.flush after")),
    (("parent", "ownership.advance after"), ("plain parent", "ledger.flush before")),
)
"""Steps at which a parent stands in everybody's way, as they can be combined."""


@dataclass
class Family:
    """The parents of a run, whose follow-ups are known beforehand."""

    line: Separately
    client: Client
    parents: dict[JobId, str] = field(default_factory=dict)
    """With their types."""
    ends: dict[JobId, State] = field(default_factory=dict)
    """Where they are not complete."""

    async def stand(self, type_: str, step: str, below: str = "") -> JobId:
        """Submit a parent; returns when it, or its chain, stands still at that step."""
        payload = {"step": step, "below": below}
        # A position moves only in a lane where nobody before it stands.
        lane = Priority.HIGH if step.startswith("ownership") else Priority.NORMAL
        job = await self.client.submit(Submission(type_, payload, priority=lane))
        self.parents[job] = type_
        if type_ == "failing parent":
            self.ends[job] = State.FAILED
        stands = self.line.run.folder / standing.FOLDER / str(chain_of(job) if below else job)

        async def is_there() -> bool:
            return stands.exists()

        await self.line.until(is_there, f"a {type_} stands at {step or below}")
        return job

    async def cancel(self, job: JobId) -> None:
        """Cancel a parent while it stands."""
        assert (await self.client.cancel(job)).ours
        self.ends[job] = State.CANCELLED

    async def check(self) -> None:
        """What each parent left behind, as anybody may ask."""
        seen = await self.line.at_rest(self.parents)
        written = await self.line.fetch("SELECT job, count(*) FROM parent_effect GROUP BY job")
        assert {times for _, times in written} <= {1}
        effects = {job for job, _ in written}
        lanes = {one.job for one in seen.log.lanes}
        for job, type_ in self.parents.items():
            completes = job not in self.ends
            status = await self.client.status(job)
            assert status.state is self.ends.get(job, State.COMPLETE)
            assert (job in effects) == (completes and type_ != "plain parent")
            children = [follow_up_of(job, 1, index) for index in range(standing.FOLLOW_UPS + 2)]
            chained = [follow_up_of(chain_of(job), 1, one) for one in range(standing.OF_A_CHAIN)]
            expected = {*children[: standing.FOLLOW_UPS], *chained} if completes else set()
            assert lanes & {*children, *chained} == expected
            for child in expected:
                assert (await self.client.status(child)).state is State.COMPLETE
            if not completes:
                with pytest.raises(JobNotFound):
                    await self.client.status(children[0])


def chain_of(parent: JobId) -> JobId:
    return follow_up_of(parent, 1, standing.FOLLOW_UPS - 1)


@pytest.fixture
def run(ready: Commands) -> Commands:
    ready.variables["JOBS_SESSION_TIMEOUT"] = SESSION_SECONDS
    ready.variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    (ready.folder / "application.py").write_text(standing.APPLICATION)
    return ready


@asynccontextmanager
async def family_of(run: Commands) -> AsyncIterator[Family]:
    kafka, database = run.variables["JOBS_KAFKA"], run.variables["JOBS_DATABASE"]
    async with separately(run, kafka, database) as line, Client.connect(run.settings) as client:
        await line.fetch(standing.TABLE)
        line.start("projector")
        yield Family(line, client)


def worker(family: Family) -> Process:
    return family.line.worker("application:jobs")


@pytest.mark.parametrize(
    "alone",
    [
        pytest.param(ALONE[:1], id="killed once"),
        pytest.param(ALONE, id="twice", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(240)
async def test_follow_ups_exist_if_and_only_if_the_parent_committed_under_kill_9_at_every_step(
    run: Commands, alone: Sequence[Sequence[tuple[str, str]]]
) -> None:
    async with family_of(run) as family:
        for last in alone:
            victim = worker(family)
            await family.stand("parent", "", below="log.append one follow-up too")
            await family.cancel(await family.stand("parent", "handler after"))
            for type_, steps in ALONGSIDE.items():
                for step in steps:
                    await family.stand(type_, step)
            for type_, step in last:
                await family.stand(type_, step)
            victim.kill()
        worker(family)
        await family.check()


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_follow_ups_are_whole_after_a_kill_9_at_each_step_alone_beside_other_work(
    run: Commands, record_property: Record
) -> None:
    every = [(type_, step) for type_, steps in ALONGSIDE.items() for step in steps]
    every += [pair for pairs in ALONE for pair in pairs]
    record_property("runs", len(every))
    async with family_of(run) as family:
        for type_, step in every:
            victim = worker(family)
            async with family.line.fed():
                await family.line.has_settled(20)
                await family.stand(type_, step)
                victim.kill()
            await family.line.look()
        worker(family)
        await family.check()
