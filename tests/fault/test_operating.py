"""What becomes of jobs that an operator replays, discards or cancels, whatever workers do?"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import pytest
from tenacity import wait_fixed

from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.step import onward
from processor.domain.errors import (
    AlreadyFinished,
    DeadLetterNotFound,
    InvalidSubmission,
    JobNotFound,
    Unavailable,
)
from processor.domain.events import Cancelled, Discarded, Failed, Queued, Started
from processor.domain.ids import JobId, dead_letter_id, entity_key
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.naming import CODEC
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

LATER = 300.0
"""Longer than any test waits for something else: what waits so long is not about to run."""


class Handlers:
    """Handlers that fail until a test mends them, and say in which order they ran."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.mended = False
        self.ran: list[JobId] = []
        self.go_on = asyncio.Event()
        self.running = asyncio.Event()
        once, again = Retry(attempts=1), Retry(attempts=5, wait=wait_fixed(LATER))
        block = Retry(attempts=1, on_exhausted="block")
        self.jobs.register("skips", self.breaks, retry=once)
        self.jobs.register("blocks", self.breaks, retry=block)
        self.jobs.register("retries", self.breaks, retry=again)
        self.jobs.register("works", self.works, retry=once)
        self.jobs.register("waits", self.waits, retry=once)

    async def works(self, request: Request[None]) -> None:
        self.ran.append(request.job_id)

    async def breaks(self, request: Request[None]) -> None:
        self.ran.append(request.job_id)
        if not self.mended:
            raise RuntimeError("broken")

    async def waits(self, request: Request[None]) -> None:
        connection = await request.connection()
        await connection.put(("effect", request.job_id), 1)
        self.running.set()
        await self.go_on.wait()


def ended(cluster: OperatedCluster, job: JobId, generation: int = 1) -> Ending | None:
    row = cluster.database.ledger.get((job, generation))
    return None if row is None else row.ending


def ends(cluster: OperatedCluster, job: JobId) -> dict[int, set[bytes]]:
    """The different ends of each generation that were ever published."""
    found = every_end(cluster)
    return {number: bodies for (one, number), bodies in found.items() if one == job}


def every_end(cluster: OperatedCluster) -> dict[tuple[JobId, int], set[bytes]]:
    """The same of every job."""
    found: dict[tuple[JobId, int], set[bytes]] = {}
    for body in cluster.published():
        outcome = CODEC.decode_journal(body)
        if isinstance(outcome, Outcome) and outcome.end is not None:
            found.setdefault((outcome.job, outcome.generation), set()).add(body)
    return found


async def died(cluster: OperatedCluster, job: JobId, generation: int = 1) -> None:
    await cluster.until(lambda: ended(cluster, job, generation) is Ending.FAILED)
    await cluster.until(lambda: generation in ends(cluster, job))
    await cluster.project()


async def a_dead_letter(type_: str) -> tuple[Handlers, OperatedCluster, JobId, UUID]:
    """A cluster whose one job has died, and been projected; what it died of is not mended yet."""
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit(type_, "N1")
    cluster.start()
    await died(cluster, job)
    return handlers, cluster, job, dead_letter_id(job, 1)


@in_virtual_time
async def test_a_replay_keeps_id_and_history_over_three_generations() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("skips", "N1", lane=Priority.LOW)
    cluster.start()
    for generation in (1, 2):
        await died(cluster, job, generation)
        letter = dead_letter_id(job, generation)
        done = await cluster.operator.replay(letter, "ada", f"try {generation}")
        assert (done.job, done.generation) == (job, generation + 1)
        assert (done.first.actor, done.first.ours) == ("ada", True)
        if generation == 2:
            handlers.mended = True
    await cluster.until(lambda: ended(cluster, job, 3) is Ending.COMPLETE)
    await cluster.until(lambda: 3 in ends(cluster, job))
    status = await cluster.status(job)
    assert (status.state, status.generation, status.job_id) == (State.COMPLETE, 3, job)
    told = [(one.generation, type(one.event).__name__) for one in status.history]
    life = ["Queued", "Started", "Failed"]
    assert told == [(n, word) for n in (1, 2) for word in life] + [
        (3, "Queued"),
        (3, "Started"),
        (3, "Completed"),
    ]
    queued = [one.event for one in status.history if isinstance(one.event, Queued)]
    assert [one.lane for one in queued] == [Priority.LOW] * 3
    assert [one.replay.because for one in queued if one.replay] == ["try 1", "try 2"]
    await cluster.settled()


@in_virtual_time
async def test_two_operators_at_once_make_one_generation_and_the_second_hears_who_was_first() -> (
    None
):
    handlers, cluster, job, letter = await a_dead_letter("skips")
    handlers.mended = True
    ada, bob = cluster.an_operator(), cluster.an_operator()
    first, second = await asyncio.gather(
        ada.replay(letter, "ada", "mended"), bob.replay(letter, "bob", "me too")
    )
    assert {first.generation, second.generation} == {2}
    assert sorted((first.first.ours, second.first.ours)) == [False, True]
    assert first.first.actor == second.first.actor
    await cluster.settled()
    assert ended(cluster, job, 2) is Ending.COMPLETE
    assert (job, 3) not in cluster.database.ledger
    assert handlers.ran == [job, job]
    assert {number: len(bodies) for number, bodies in ends(cluster, job).items()} == {1: 1, 2: 1}


@in_virtual_time
async def test_a_replay_goes_into_the_lane_that_is_named() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("skips", "N1", lane=Priority.LOW)
    cluster.start()
    await died(cluster, job)
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "urgent", Priority.HIGH)
    await died(cluster, job, 2)
    assert (await cluster.status(job)).current.lane is Priority.HIGH


@in_virtual_time
async def test_what_waits_behind_a_blocking_job_runs_after_its_replay_in_its_order() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = [cluster.submit("works", "N1") for _ in range(5)]
    cluster.start()
    await died(cluster, job)
    urgent = cluster.submit("works", "N1", lane=Priority.CRITICAL)
    other = cluster.submit("works", "N2")
    await cluster.read_to_the_end()
    assert handlers.ran in ([job, other], [other, job])
    handlers.mended = True
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "mended")
    await cluster.until(lambda: len(handlers.ran) == 9)
    handlers.ran.remove(other)
    assert handlers.ran == [job, job, urgent, *behind]
    await cluster.settled()
    await cluster.until(lambda: not cluster.database.waiting)
    status = await cluster.status(job)
    assert (status.state, status.generation, status.attempts) == (State.COMPLETE, 2, 1)


@in_virtual_time
async def test_a_replay_in_place_that_comes_twice_or_to_another_owner_is_one_generation() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    first = cluster.start()
    await died(cluster, job)
    first.kill()
    letter = dead_letter_id(job, 1)
    for actor in ("ada", "bob"):
        await cluster.operator.replay(letter, actor, "why")
    cluster.start()
    await died(cluster, job, 2)
    await cluster.read_to_the_end()
    assert handlers.ran == [job, job]
    assert blocking(cluster) == [(job, 2)]
    await cluster.operator.discard(dead_letter_id(job, 2), "ada", "hopeless")
    await cluster.until(lambda: handlers.ran == [job, job, behind])
    await cluster.until(lambda: not cluster.database.waiting)


@in_virtual_time
@pytest.mark.parametrize("again", [False, True])
async def test_a_replay_takes_its_place_although_a_failover_forgot_the_discard_before_it(
    again: bool,  # noqa: FBT001 - a parameter
) -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    first = cluster.start()
    await died(cluster, job)
    first.kill()
    letter = dead_letter_id(job, 1)
    await cluster.operator.discard(letter, "ada", "hopeless")
    await cluster.operator.replay(letter, "bob", "wanted after all")
    del cluster.database.ledger[job, 2]
    if again:  # the letter is open again, and its row blocks
        await cluster.operator.replay(letter, "bob", "wanted after all")
    handlers.mended = True
    cluster.start()
    await cluster.until(lambda: handlers.ran == [job, job, behind])
    await cluster.settled()
    await cluster.until(lambda: not cluster.database.waiting)
    assert ended(cluster, job, 3) is Ending.COMPLETE


def blocking(cluster: OperatedCluster) -> list[tuple[JobId, int]]:
    return [key for key, row in cluster.database.waiting.items() if row.row.state == "b"]


@in_virtual_time
async def test_a_blocking_job_whose_record_comes_again_goes_on_blocking() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    first = cluster.start()
    await died(cluster, job)
    first.kill()  # before the position has passed
    cluster.start()
    await cluster.read_to_the_end()
    assert ended(cluster, behind) is None
    assert handlers.ran == [job]


@in_virtual_time
@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_that_dies_around_the_turn_of_a_blocking_row_repeats_nothing(
    after: bool,  # noqa: FBT001 - whether the turn was written
) -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    member = cluster.member()

    async def dies(name: str) -> BaseException | None:
        if name != "waiting_room.replay_in_place":
            return await onward(name)
        if after:
            return member.die_in_a_call()
        raise member.die_in_a_call()

    member.hook = dies
    member.start()
    await died(cluster, job)
    handlers.mended = True
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "mended")
    await cluster.until(lambda: member.dead)
    cluster.start()
    await cluster.until(lambda: not cluster.database.waiting)
    await cluster.settled()
    assert handlers.ran == [job, job, behind]


@in_virtual_time
async def test_a_discard_lets_a_blocked_entity_go_on_and_leaves_the_job_failed() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    cluster.start()
    await died(cluster, job)
    done = await cluster.operator.discard(dead_letter_id(job, 1), "ada", "not wanted")
    assert (done.job, done.generation, done.first.actor) == (job, 2, "ada")
    await cluster.until(lambda: handlers.ran == [job, behind])
    await cluster.until(lambda: not cluster.database.waiting)
    status = await cluster.status(job)
    assert (status.state, status.current.discarded) == (State.FAILED, True)
    last = status.history[-1].event
    assert isinstance(last, Discarded)
    assert (last.actor, last.because) == ("ada", "not wanted")


@in_virtual_time
@pytest.mark.parametrize("type_", ["skips", "blocks"])
async def test_a_discarded_generation_does_not_absorb_a_later_replay(type_: str) -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit(type_, "N1")
    cluster.start()
    await died(cluster, job)
    letter = dead_letter_id(job, 1)
    await cluster.operator.discard(letter, "ada", "not wanted")
    again = await cluster.operator.discard(letter, "bob", "nor by me")
    assert (again.first.actor, again.first.ours) == ("ada", False)
    handlers.mended = True
    done = await cluster.operator.replay(letter, "bob", "wanted after all")
    assert done.generation == 3
    await cluster.until(lambda: ended(cluster, job, 3) is Ending.COMPLETE)
    await cluster.settled()
    await cluster.until(lambda: not cluster.database.waiting)
    status = await cluster.status(job)
    assert (status.state, status.generation) == (State.COMPLETE, 3)


@in_virtual_time
@pytest.mark.parametrize("type_", ["skips", "blocks"])
async def test_a_replay_of_long_ago_is_not_run_again_once_the_ledger_has_forgotten_it(
    type_: str,
) -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit(type_, "N1")
    cluster.start()
    await died(cluster, job)
    handlers.mended = True
    letter = dead_letter_id(job, 1)
    await cluster.operator.replay(letter, "ada", "mended")
    await cluster.until(lambda: ended(cluster, job, 2) is Ending.COMPLETE)
    await cluster.settled()
    await cluster.project()
    cluster.database.ledger.clear()  # as the janitor does after seven days
    again = await cluster.operator.replay(letter, "bob", "once more")
    assert (again.generation, again.first.actor, again.first.ours) == (2, "ada", False)
    with pytest.raises(AlreadyFinished, match="was replayed by ada"):
        await cluster.operator.discard(letter, "bob", "why")
    after = cluster.submit("works", "N1")
    await cluster.until(lambda: ended(cluster, after) is Ending.COMPLETE)
    assert handlers.ran == [job, job, after]


@in_virtual_time
async def test_a_discard_of_long_ago_is_no_generation_that_a_replay_starts() -> None:
    handlers, cluster, job, letter = await a_dead_letter("skips")
    await cluster.operator.discard(letter, "ada", "not wanted")
    await cluster.settled()
    await cluster.project()
    cluster.database.ledger.clear()  # as the janitor does after seven days
    again = await cluster.operator.discard(letter, "bob", "nor by me")
    assert (again.generation, again.first.actor) == (2, "ada")
    assert not cluster.database.ledger
    handlers.mended = True
    assert (await cluster.operator.replay(letter, "bob", "after all")).generation == 3
    await cluster.until(lambda: ended(cluster, job, 3) is Ending.COMPLETE)
    await cluster.settled()
    status = await cluster.status(job)
    assert (status.state, status.generation) == (State.COMPLETE, 3)


@in_virtual_time
async def test_a_discard_that_a_failover_forgot_is_done_again_where_its_row_still_blocks() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    worker = cluster.start()
    await died(cluster, job)
    worker.kill()
    letter = dead_letter_id(job, 1)
    await cluster.operator.discard(letter, "ada", "not wanted")
    await cluster.project()
    del cluster.database.ledger[job, 2]
    cluster.database.operations.clear()
    cluster.start()
    again = await cluster.operator.discard(letter, "bob", "it still blocks")
    assert (again.generation, again.first.actor) == (2, "bob")
    await cluster.until(lambda: handlers.ran == [job, behind])
    await cluster.until(lambda: not cluster.database.waiting)


@in_virtual_time
async def test_a_dead_letter_that_was_replayed_is_not_discarded() -> None:
    _, cluster, job, letter = await a_dead_letter("skips")
    await cluster.operator.replay(letter, "ada", "mended")
    with pytest.raises(AlreadyFinished, match=f"{letter} was replayed by ada"):
        await cluster.operator.discard(letter, "bob", "why")
    await died(cluster, job, 2)


@in_virtual_time
async def test_a_letter_whose_record_could_not_be_decoded_is_discarded_not_replayed() -> None:
    cluster = OperatedCluster(Handlers().jobs)
    cluster.append(Priority.NORMAL, 0, b"no record of ours")
    cluster.start()
    await cluster.settled()
    await cluster.project()
    (row,) = cluster.projections.letters.values()
    with pytest.raises(InvalidSubmission, match=r"cannot be replayed: its bytes are no record"):
        await cluster.operator.replay(row.id, "ada", "why")
    await cluster.operator.discard(row.id, "ada", "why")
    await cluster.project()
    (row,) = cluster.projections.letters.values()
    assert row.closed == "d"


@in_virtual_time
async def test_a_dead_letter_that_nobody_knows_is_told() -> None:
    cluster = OperatedCluster(Handlers().jobs)
    for asked in (cluster.operator.replay, cluster.operator.discard):
        with pytest.raises(DeadLetterNotFound, match="no dead letter has the id"):
            await asked(uuid4(), "ada", "why")


@in_virtual_time
async def test_a_retrying_job_that_meets_a_hold_keeps_its_past() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("retries", "N1")
    cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.waiting)
    holds = MemoryHolds(cluster.database)
    hold = await holds.hold(HoldKind.TYPE, "retries", "ada", "why")
    await cluster.until(lambda: cluster.database.waiting[job, 1].hold == hold.id, 2 * LATER)
    handlers.mended = True
    await holds.release(hold.id, "ada", "why")
    await cluster.until(lambda: ended(cluster, job) is Ending.COMPLETE)
    words = [type(event).__name__ for event in cluster.outcome(job).events]
    assert words == ["Started", "Retrying", "Started", "Completed"]


# cancelling: what the job was, and one end


async def cancelled(cluster: OperatedCluster, job: JobId, was: State) -> None:
    """Cancel it, and see that it was so, and that one end is left and published."""
    found = await cluster.operator.cancel(job, "ada", "not wanted")
    assert (found.job, found.was, found.now, found.ours) == (job, was, State.CANCELLED, True)
    again = await cluster.operator.cancel(job, "bob", "nor by me")
    assert (again.was, again.now, again.ours) == (State.CANCELLED, State.CANCELLED, False)
    assert ended(cluster, job, found.generation) is Ending.CANCELLED
    status = await cluster.status(job)
    assert status.state is State.CANCELLED
    last = [one.event for one in status.history if not one.void][-1]
    assert isinstance(last, Cancelled)
    assert (last.actor, last.because) == ("ada", "not wanted")


async def goes_on(cluster: OperatedCluster, job: JobId, entity: str) -> None:
    """The entity is free, nothing is left of the job, and it ended once."""
    after = cluster.submit("works", entity)
    await cluster.until(lambda: ended(cluster, after) is Ending.COMPLETE)
    await cluster.settled()
    await cluster.until(lambda: not cluster.database.waiting)
    assert all(len(bodies) == 1 for bodies in ends(cluster, job).values())


@in_virtual_time
async def test_a_job_that_no_worker_has_seen_is_cancelled_and_never_runs() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("works", "N1")
    await cluster.project()
    await cancelled(cluster, job, State.QUEUED)
    cluster.start()
    await goes_on(cluster, job, "N1")
    assert job not in handlers.ran


@in_virtual_time
async def test_a_scheduled_job_is_cancelled() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    later = cluster.clock.now() + round(LATER * 1_000_000)
    job = cluster.submit("works", "N1", not_before=later)
    cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.waiting)
    await cancelled(cluster, job, State.SCHEDULED)
    await goes_on(cluster, job, "N1")
    assert job not in handlers.ran


@in_virtual_time
async def test_a_job_queued_behind_a_head_is_cancelled() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    head = cluster.submit("retries", "N1")
    job = cluster.submit("works", "N1")
    cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.waiting)
    await cancelled(cluster, job, State.QUEUED)
    handlers.mended = True
    await cluster.until(lambda: ended(cluster, head) is Ending.COMPLETE, within=2 * LATER)
    await goes_on(cluster, job, "N1")
    assert job not in handlers.ran


@in_virtual_time
async def test_a_retrying_job_is_cancelled_with_its_past_and_its_entity_goes_on() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("retries", "N1")
    cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.waiting)
    await cancelled(cluster, job, State.RETRYING)
    words = [type(event).__name__ for event in cluster.outcome(job).events]
    assert words == ["Started", "Retrying", "Cancelled"]
    await goes_on(cluster, job, "N1")
    assert handlers.ran[0] == job
    assert Counter(handlers.ran)[job] == 1


@in_virtual_time
async def test_a_running_job_is_stopped_and_rolled_back() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("waits", "N1")
    cluster.start()
    await handlers.running.wait()
    await cluster.until(lambda: cluster.lives(job))
    await cluster.project()
    await cancelled(cluster, job, State.PROCESSING)
    assert isinstance(cluster.outcome(job).events[0], Started)
    await goes_on(cluster, job, "N1")
    assert ("effect", job) not in cluster.database.values


@in_virtual_time
async def test_what_is_complete_or_dead_stays_what_it_is() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    jobs = {
        cluster.submit("works", "N1"): State.COMPLETE,
        cluster.submit("skips", "N2"): State.FAILED,
        cluster.submit("blocks", "N3"): State.FAILED,
    }
    await cluster.project()
    cluster.start()
    await cluster.until(lambda: all(ended(cluster, job) for job in jobs))
    for _ in range(2):  # by the ledger, while the history is behind, and by the history
        for job, state in jobs.items():
            found = await cluster.operator.cancel(job, "ada", "why")
            assert (found.was, found.now, found.ours) == (state, state, False)
            assert isinstance(cluster.outcome(job).end, Failed) is (state is State.FAILED)
        await cluster.until(lambda: all(ends(cluster, job) for job in jobs))
        await cluster.project()


@in_virtual_time
async def test_a_replay_under_block_is_cancelled_before_its_command_was_read() -> None:
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("blocks", "N1")
    behind = cluster.submit("works", "N1")
    first = cluster.start()
    await died(cluster, job)
    await first.stopped()
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "mended")
    found = await cluster.operator.cancel(job, "ada", "not after all")
    assert (found.generation, found.was, found.now) == (2, State.QUEUED, State.CANCELLED)
    cluster.start()
    await cluster.until(lambda: ended(cluster, behind) is Ending.COMPLETE)
    await cluster.settled()
    await cluster.until(lambda: not cluster.database.waiting)
    assert handlers.ran == [job, behind]


@in_virtual_time
async def test_a_job_that_nobody_submitted_is_told() -> None:
    cluster = OperatedCluster(Handlers().jobs)
    with pytest.raises(JobNotFound):
        await cluster.operator.cancel(JobId(uuid4()), "ada", "why")
    cluster.submit("works", "N1")
    with pytest.raises(Unavailable):
        await cluster.operator.cancel(JobId(uuid4()), "ada", "why")


def racing(seed: int) -> Jobs:
    """Handlers that succeed in a transaction, by the flush, fail, or are parked."""
    jobs = Jobs()
    chance = random.Random(seed)

    async def commits(request: Request[None]) -> None:
        connection = await request.connection()
        await asyncio.sleep(chance.random() * 0.05)
        await connection.put(("effect", request.job_id), 1)

    async def flushes(_request: Request[None]) -> None:
        await asyncio.sleep(chance.random() * 0.05)

    async def fails(_request: Request[None]) -> None:
        await asyncio.sleep(chance.random() * 0.05)
        raise RuntimeError("broken")

    jobs.register("commits", commits, retry=Retry(attempts=1))
    jobs.register("flushes", flushes, retry=Retry(attempts=1))
    jobs.register("fails", fails, retry=Retry(attempts=1))
    jobs.register("parks", fails, retry=Retry(attempts=2, wait=wait_fixed(0.05)))
    jobs.register("blocks", fails, retry=Retry(attempts=1, on_exhausted="block"))
    return jobs


@in_virtual_time
@pytest.mark.parametrize("seed", range(10))
async def test_a_cancel_races_success_failure_parking_and_the_flush_without_a_second_end(
    seed: int,
) -> None:
    chance = random.Random(seed)

    async def jitter(name: str) -> BaseException | None:
        await asyncio.sleep(chance.random() * 0.01)
        return await onward(name)

    cluster = OperatedCluster(racing(seed))
    kinds = ("commits", "flushes", "fails", "parks", "blocks")
    jobs = {cluster.submit(kinds[n % 5], f"N{n // 2}"): kinds[n % 5] for n in range(100)}
    await cluster.project()
    cluster.start(jitter)
    operator = cluster.an_operator(jitter)

    async def cancel(job: JobId) -> State:
        await asyncio.sleep(chance.random() * 0.6)
        return (await operator.cancel(job, "ada", "why")).now

    answers = dict(zip(jobs, await asyncio.gather(*map(cancel, jobs)), strict=True))
    blocked = {
        job for job in jobs if ended(cluster, job) is Ending.FAILED and jobs[job] == "blocks"
    }
    await cluster.read_to_the_end()
    words = {Ending.COMPLETE: State.COMPLETE, Ending.FAILED: State.FAILED}
    await cluster.project()
    for job in sorted(blocked):
        await operator.discard(dead_letter_id(job, 1), "ada", "why")
    await cluster.until(lambda: not cluster.database.waiting)
    await cluster.until(lambda: {(job, 1) for job in jobs} <= every_end(cluster).keys())
    published = every_end(cluster)
    for job, kind in jobs.items():
        ending = ended(cluster, job)
        assert ending is not None
        assert answers[job] is words.get(ending, State.CANCELLED) or answers[job] is None
        assert len(published[job, 1]) == 1, kind
        effect = ("effect", job) in cluster.database.values
        assert effect is (kind == "commits" and ending is Ending.COMPLETE)
    assert len(set(answers.values())) == 3
    assert entity_key(None, "N0") not in cluster.database.locks
