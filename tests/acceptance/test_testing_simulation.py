"""Does `processor.testing.simulate` prove what it says, and can it fail?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from tenacity import wait_fixed

from processor import ConfigurationError, InvalidSubmission, Jobs, Request, Retry, Submission
from processor.adapters.memory.database import MemoryDatabase
from processor.testing import SimulatedJob, simulate
from processor.testing.recording import Recorded
from processor.testing.simulation import committing

SUBMISSIONS = [
    *(Submission("add", number, entity="AB"[number % 2]) for number in range(6)),
    Submission("add", "no number", entity="A"),
    Submission("bill", 7),
    Submission("bill", 8, dedupe_key="once"),
    Submission("bill", 8, dedupe_key="once"),
]


class Book:
    """Stands for a connection."""

    async def execute(self, line: str, number: int) -> None:
        pass


def an_application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("add", retry=Retry(attempts=2, wait=wait_fixed(5)))
    async def add(request: Request[int]) -> int:
        connection = await request.connection()
        await connection.execute("INSERT", request.payload)
        request.submit(Submission("bill", request.payload, entity=request.entity))
        if request.attempt == 1 and request.payload == 3:
            raise OSError("not at once")
        return request.payload

    @jobs.handler("bill")
    def bill(request: Request[int]) -> int:
        return request.payload

    return jobs


def stubborn() -> Jobs:
    """Of an entity's two jobs the first fails at first."""
    jobs = Jobs()

    @jobs.handler("add", retry=Retry(attempts=2, wait=wait_fixed(1)))
    async def add(request: Request[int]) -> None:
        await (await request.connection()).execute("INSERT", request.payload)
        if request.attempt == 1 and request.payload == 3:
            raise OSError("not at once")

    return jobs


def added_once(jobs: Sequence[SimulatedJob]) -> None:
    added = [job for job in jobs if job.type == "add"]
    assert len(added) == 7
    for job in added:
        calls = [call.arguments for call in job.committed if call.name == "connection.execute"]
        assert calls == ([("INSERT", job.payload)] if job.state == "complete" else [])
        assert (job.reason == "ParseError") <= (job.payload == "no number")
    complete = {job.id for job in added if job.state == "complete"}
    assert {job.parent for job in jobs} - {None} == complete
    own = [job for job in jobs if job.type == "bill" and job.parent is None]
    assert sorted(job.payload for job in own) == [7, 8]


def test_a_good_application_keeps_every_promise_in_every_run() -> None:
    ran = simulate(
        an_application, SUBMISSIONS, connection=Book, effects=added_once, seeds=range(15)
    )
    assert ran == 15


def test_a_wrong_effect_is_told_with_its_seed_its_place_and_the_shortest_run_that_has_it() -> None:
    some = SUBMISSIONS[:8]

    def nothing_is_cancelled(jobs: Sequence[SimulatedJob]) -> None:
        states = [str(job.state) for job in jobs]
        assert "cancelled" not in states, "somebody cancelled"

    with pytest.raises(AssertionError, match="somebody cancelled") as found:
        simulate(an_application, some, connection=Book, effects=nothing_is_cancelled)
    told = str(found.value)
    assert f"{__file__}:" in told
    (seed,) = re.findall(r"seeds=\[(\d+)\]", told)
    _, _, trace = told.partition("shortest run that still breaks one:\n")
    happened = [line for line in trace.splitlines() if re.match(r" +\d+\.\d+ s  ", line)]
    submitted = [line for line in happened if "is submitted" in line]
    assert 1 <= len(submitted) < len(some)
    assert [line for line in happened if line.endswith(" is cancelled")] != []
    assert [line for line in happened if line.endswith(" is cancelled by ann")] != []
    with pytest.raises(AssertionError) as again:
        simulate(
            an_application,
            some,
            connection=Book,
            effects=nothing_is_cancelled,
            seeds=[int(seed)],
        )
    assert str(again.value) == told


def test_a_handler_that_remembers_in_its_process_what_it_did_is_found_out() -> None:
    def made() -> Jobs:
        jobs, done = an_application(), set[object]()

        async def remembers(request: Request[int]) -> None:
            if request.job_id not in done:
                done.add(request.job_id)
                await (await request.connection()).execute("INSERT", request.payload)

        jobs.register("add", remembers)
        return jobs

    def added(jobs: Sequence[SimulatedJob]) -> None:
        for job in jobs:
            assert job.type != "add" or job.state != "complete" or job.committed, "it is not there"

    with pytest.raises(AssertionError, match="it is not there"):
        simulate(made, SUBMISSIONS, connection=Book, effects=added)


def forgetful_ledger(patching: pytest.MonkeyPatch) -> None:
    patching.setattr(MemoryDatabase, "insert", lambda *_: True)


def commits_that_a_rollback_makes(patching: pytest.MonkeyPatch) -> None:
    patching.setattr(Recorded, "rollback", Recorded.commit)


def commits_of_other_generations(patching: pytest.MonkeyPatch) -> None:
    found = committing.commits
    patching.setattr(
        committing,
        "commits",
        lambda cluster: [one._replace(generation=one.generation + 1) for one in found(cluster)],
    )


def commits_in_another_order(patching: pytest.MonkeyPatch) -> None:
    found = committing.commits
    patching.setattr(committing, "commits", lambda cluster: [*reversed(found(cluster))])


@pytest.mark.parametrize(
    ("mutant", "number"),
    [
        (forgetful_ledger, "3"),
        (commits_that_a_rollback_makes, "1"),
        (commits_of_other_generations, "2"),
        (commits_in_another_order, "6"),
    ],
)
def test_a_promise_that_breaks_is_found_out(
    mutant: Callable[[pytest.MonkeyPatch], None], number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=rf"(?m)^{number}: "):
        simulate(stubborn, [SUBMISSIONS[3], SUBMISSIONS[5]], connection=Book, patience=30)


def test_what_cannot_be_simulated_is_one_clear_error() -> None:
    jobs = an_application()
    with pytest.raises(ConfigurationError, match="at least one submission"):
        simulate(jobs, [])
    with pytest.raises(ConfigurationError, match="leave it out"):
        simulate(jobs, [Submission("bill", 1, not_before=datetime(2030, 1, 1, tzinfo=UTC))])
    with pytest.raises(InvalidSubmission, match="number 1"):
        simulate(jobs, [Submission("bill", 1), Submission("bill", object())])


async def test_inside_a_loop_it_says_where_it_belongs() -> None:
    with pytest.raises(ConfigurationError, match="plain `def` test"):
        simulate(an_application(), SUBMISSIONS)
