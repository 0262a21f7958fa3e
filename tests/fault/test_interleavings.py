"""Which interleavings that break a simpler design does no other test produce?

`tests/hazards.py` lists all of them, each with its tests.
"""

from __future__ import annotations

import pytest

from processor.domain.ids import dead_letter_id
from processor.domain.job import State
from processor.domain.priority import Priority
from processor.ports.ledger import Ending, Fault
from processor.ports.log import LogCut, Place
from processor.runtime.attempt import FAULTS_AT_MOST
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.cluster import MemoryCluster
from processor.testing.naming import CODEC, TOPICS
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail
from tests.fault.test_operating import Handlers, died, ended
from tests.fault.test_runtime_records import again
from tests.invariants import partition_of_entity, recording

__all__ = ["blocking_calls_fail"]


@in_virtual_time
async def test_a_log_that_lost_its_end_below_a_position_ends_the_worker_in_one_line() -> None:
    """An unclean election: nobody would read what is appended where offsets are free again."""
    cluster = MemoryCluster(recording())
    entity = partition_of_entity(cluster, 0)
    for _ in range(3):
        cluster.submit("nothing", entity)
    first = cluster.start()
    await cluster.settled()
    await first.stopped()
    cluster.topics.lose(Place(TOPICS.lane(Priority.NORMAL), 0), 1)
    cluster.submit("nothing", entity)
    second = cluster.start()
    with pytest.raises(BaseExceptionGroup) as raised:
        await second.ended()
    assert raised.group_contains(LogCut, match=r"jobs\.normal\[0\] holds offsets 0 to 2, not 3")


@in_virtual_time
async def test_a_replay_that_waits_unread_is_cancelled_and_never_runs() -> None:
    """The cancel sees the generation that its caller saw, not the one that has failed."""
    handlers = Handlers()
    cluster = OperatedCluster(handlers.jobs)
    job = cluster.submit("skips", "N1")
    first = cluster.start()
    await died(cluster, job)
    await first.stopped()
    await cluster.operator.replay(dead_letter_id(job, 1), "ada", "mended")
    found = await cluster.operator.cancel(job, "ada", "not after all")
    assert (found.generation, found.was, found.now) == (2, State.QUEUED, State.CANCELLED)
    handlers.mended = True
    cluster.start()
    await cluster.settled()
    assert handlers.ran == [job], "the second generation has run"
    assert [ended(cluster, job, generation) for generation in (1, 2)] == [
        Ending.FAILED,
        Ending.CANCELLED,
    ]
    assert (await cluster.status(job)).state is State.CANCELLED


@in_virtual_time
async def test_a_copy_of_a_parents_record_sends_none_of_its_follow_ups_again() -> None:
    """Its follow-up may be forgotten by then: a new record of it would run it a second time."""
    jobs = recording()

    @jobs.handler("parent")
    async def parent(request: Request[None]) -> None:
        request.submit(Submission("nothing", entity="child"))

    cluster = MemoryCluster(jobs)
    job = cluster.submit("parent", "N1")
    worker = cluster.start()
    await cluster.settled()
    assert children(cluster) == 1
    again(cluster, cluster.acked[0])
    again(cluster, cluster.acked[0], Priority.CRITICAL)
    await cluster.settled()
    assert len(cluster.bodies(job)) >= 2, "the outcome itself is told again"
    assert children(cluster) == 1
    await worker.stopped()


def children(cluster: MemoryCluster) -> int:
    """How many records of follow-ups stand in the lanes."""
    return sum(
        CODEC.decode_submission(record.value or b"").entity == "child"
        for place, partition in cluster.topics.partitions.items()
        if place.topic in TOPICS.lanes
        for record in partition.records
    )


@in_virtual_time
async def test_a_query_that_kills_its_connection_each_time_makes_no_job_immortal() -> None:
    """A fault of the infrastructure is no attempt; one that always comes is the job's own doing."""
    jobs, runs = Jobs(), []

    @jobs.handler("deadly")
    async def deadly(request: Request[None]) -> None:
        runs.append(request.attempt)
        await request.connection()
        raise Fault("the query has ended its server process")

    cluster = MemoryCluster(jobs)
    job = cluster.submit("deadly", "N1", attempts=1)
    behind = cluster.submit("deadly", "N1", attempts=1)
    worker = cluster.start()
    await cluster.settled(within=3_600)
    for one in (job, behind):
        assert cluster.database.ledger[one, 1].ending is Ending.FAILED
    assert runs == [1] * 2 * FAULTS_AT_MOST
    await worker.stopped()
