"""Which interleavings that break a simpler design does no other test produce?

`tests/hazards.py` lists all of them, each with its tests.
"""

from __future__ import annotations

import pytest

from processor.domain.explanation import Cause
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.job import State
from processor.domain.priority import Priority
from processor.ports.ledger import Ending, Fault
from processor.ports.log import LogCut, Place
from processor.ports.situations import Seat, Situation
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker
from processor.runtime.attempt import FAULTS_AT_MOST
from processor.runtime.explaining import Explainer
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


class Ends:
    """The ledger's database as somebody meets it who asked the history before the job ended."""

    def __init__(self, cluster: OperatedCluster) -> None:
        self._cluster = cluster

    async def recorded(self, _job: JobId) -> None:
        """Not asked: the history knows the job."""

    async def seat(self, job: JobId) -> Seat | None:
        """None: meanwhile the job was run to its end, and no row waits."""
        worker = self._cluster.start()
        await self._cluster.settled()
        await worker.stopped()
        assert (job, 1) not in self._cluster.database.waiting
        return None

    async def of(self, job: JobId, seat: Seat) -> Situation:
        """See `Situations`."""
        ending = self._cluster.database.ledger[job, 1].ending
        now = self._cluster.clock.now()
        return Situation(now, None, (1, ending), None, 0, None, (), (), None, 0)


async def nothing_stands() -> dict[Place, int]:
    """The ends of lanes, for whoever must wait for the history: it knows the job."""
    return {}


async def three(_partition: int) -> int:
    return 3


@in_virtual_time
async def test_a_job_that_ends_between_two_looks_is_explained_by_its_end() -> None:
    """Its history says queued and no row waits any more: that is not "not read yet"."""
    cluster = OperatedCluster(recording())
    job = cluster.submit("nothing", "N1")
    await cluster.project()
    client = cluster.a_client()
    assert (await client.status(job)).state is State.QUEUED
    asker = Asker(cluster.history, Acknowledged(), nothing_stands, cluster.clock)
    explainer = Explainer(asker, Ends(cluster), CODEC, grace=60, look_ahead=10, lag=three)
    found = await explainer.explain(job)
    assert found.cause is Cause.NOT_PROJECTED
    assert found.sentence == (
        "it is complete; its history does not tell so yet: it is 3 records of the journal behind in"
        f" partition {found.details['partition']}"
    )
