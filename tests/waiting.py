"""What must hold of jobs that wait, whatever happened to the workers?

Every handler leaves effects as those of `tests.invariants` do; what is blocked stays in the waiting
room with all that is behind it, everything else must have gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable
from itertools import pairwise
from typing import Any, cast

from tenacity import wait_fixed

from processor.domain.errors import TryAgain
from processor.domain.events import Cancelled, Durable, Retrying, Started
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import Acked, MemoryCluster
from processor.testing.naming import CODEC
from processor.testing.virtual_time import loop_of_the_test
from tests.invariants import check_job_failed, check_once, check_order, recording


def waiting_jobs() -> Jobs:
    """The handlers of `recording`, and those that wait: again and again, long, or blocking."""
    jobs = recording()
    effect = jobs.find("effect")
    clock = loop_of_the_test().clock

    async def write(request: Request[Any]) -> int:
        assert effect is not None
        return await cast("Awaitable[int]", effect(request))

    async def flaky(request: Request[int]) -> int:
        number = await write(request)
        if request.attempt <= request.payload:
            raise RuntimeError(f"attempt {request.attempt}")
        return number

    async def patient(request: Request[int]) -> int:
        if request.cluster.run <= request.payload:
            raise TryAgain(1.0)
        return await write(request)

    async def blocks(request: Request[Any]) -> None:
        await write(request)
        raise RuntimeError("it fails for good")

    async def long(request: Request[float]) -> int:
        await clock.sleep(request.payload)
        return await write(request)

    often = Retry(attempts=4, wait=wait_fixed(2))
    jobs.register("flaky", flaky, retry=often, breaker=None)  # hundreds fail at once on purpose
    jobs.register("patient", patient, retry=Retry(attempts=1))
    policy = Retry(attempts=2, wait=wait_fixed(1), on_exhausted="block")
    jobs.register("blocks", blocks, retry=policy)
    jobs.register("long", long)
    return jobs


HAVE_EFFECTS = ("effect", "flaky", "patient", "long")


def positions_are_at_the_end(cluster: MemoryCluster) -> bool:
    """Whether every record is done; what waits may wait."""
    return all(
        cluster.database.owners[number].positions[lane] == cluster.end(lane, number)
        for lane in LANES
        for number in range(cluster.partitions)
    )


def is_over(cluster: MemoryCluster) -> bool:
    """Whether everything has ended that is not behind a blocking row."""
    blocked = blocked_entities(cluster)
    return (
        positions_are_at_the_end(cluster)
        and all(one.row.entity_key in blocked for one in cluster.database.waiting.values())
        and not unended(cluster)
    )


def states(cluster: MemoryCluster) -> list[str]:
    """The states of all rows of the waiting room."""
    return sorted(one.row.state for one in cluster.database.waiting.values())


def blocked_entities(cluster: MemoryCluster) -> dict[int, JobId]:
    """The entities that wait for an operator, by the job that blocks them."""
    return {
        one.row.entity_key: one.row.job
        for one in cluster.database.waiting.values()
        if one.row.state == "b"
    }


def unended(cluster: MemoryCluster) -> list[Acked]:
    """What has neither an end nor a row behind a blocking one."""
    ended = {job for job, _ in cluster.database.ledger}
    behind = {one.row.job for one in cluster.database.waiting.values()}
    return [one for one in cluster.acked if one.job not in ended | behind]


def check_waiting(cluster: MemoryCluster, *, more: int = 0) -> None:
    """Everything, at the end of a run; `more` jobs are follow-ups that nobody submitted."""
    assert positions_are_at_the_end(cluster), "17: a position did not reach its end"
    assert not cluster.database.locks, "an entity's lock is still held"
    check_rows(cluster, more)
    check_once(cluster, HAVE_EFFECTS)
    check_outcomes(cluster)
    check_job_failed(cluster)
    check_turns(cluster)
    check_order(cluster)


def check_rows(cluster: MemoryCluster, more: int = 0) -> None:
    """3 and 9: one end for every job, and no row but behind a blocking one."""
    blocked = blocked_entities(cluster)
    left = [
        one.row for one in cluster.database.waiting.values() if one.row.entity_key not in blocked
    ]
    assert left == [], "9: rows are left"
    assert unended(cluster) == [], "3: jobs are lost"
    ended = Counter(job for job, _ in cluster.database.ledger)
    assert set(ended.values()) <= {1}
    waiting = {one.row.job for one in cluster.database.waiting.values()} - ended.keys()
    submitted = {one.job for one in cluster.acked}
    assert len(ended) + len(waiting) == len(submitted) + more


def check_outcomes(cluster: MemoryCluster) -> None:
    """4, 5, 10, 11: what was published of a job grows event by event into what the ledger holds."""
    told: dict[tuple[JobId, int], set[bytes]] = defaultdict(set)
    grown: dict[tuple[JobId, int], set[tuple[Durable, ...]]] = defaultdict(set)
    for body in cluster.published():
        one = CODEC.decode_journal(body)
        if isinstance(one, Outcome):
            told[one.job, one.generation].add(body)
            grown[one.job, one.generation].add(one.events)
    for key, row in cluster.database.ledger.items():
        assert row.body in told[key], "4: an end was not published"
        final = CODEC.decode_journal(row.body)
        assert isinstance(final, Outcome)
        if row.ending is Ending.CANCELLED:
            continue
        for events in grown[key]:
            assert [_bare(event) for event in final.events[: len(events)]] == [
                _bare(event) for event in events
            ], "10: an index names two events"
        check_attempts(final)
    assert told.keys() <= cluster.database.ledger.keys() | cluster.database.waiting.keys()


def _bare(event: Durable) -> object:
    """Without the error, which is shortened once it is older."""
    return (type(event), *(getattr(event, field, 0) for field in ("at", "attempt", "run")))


def check_attempts(outcome: Outcome) -> None:
    """11: runs count from one without a hole, and none starts before it is due."""
    started = [event for event in outcome.events if isinstance(event, Started)]
    assert [event.run for event in started] == list(range(1, len(started) + 1)), "10: runs"
    for before, event in pairwise(outcome.events):
        if isinstance(before, Retrying):
            assert not isinstance(event, Started) or event.at >= before.due_at, "11: too early"


def ended_at(outcome: Outcome) -> int:
    """When a job ended, in microseconds since the epoch."""
    assert outcome.end is not None
    return outcome.end.at


def check_turns(cluster: MemoryCluster) -> None:
    """7: between a job's first start and its end no other job of its entity starts."""
    spells: dict[str, list[tuple[int, int, JobId]]] = defaultdict(list)
    for row in cluster.database.ledger.values():
        one = CODEC.decode_journal(row.body)
        assert isinstance(one, Outcome)
        starts = [event.at for event in one.events if isinstance(event, Started)]
        if starts and not isinstance(one.events[-1], Cancelled):
            spells[one.entity].append((starts[0], ended_at(one), one.job))
    for entity, ones in spells.items():
        for (_, end, first), (start, _, second) in pairwise(sorted(ones)):
            assert end <= start, f"7: {second} overtook {first} of {entity}"


def submit_what_waits(cluster: MemoryCluster) -> None:
    """Retries in every lane, a schedule, a block, and more of one entity than memory keeps."""
    now = cluster.clock.now()
    for lane in reversed(LANES):
        cluster.submit("flaky", "again", b"1", lane)
        cluster.submit("effect", "again", b"null", lane)
    cluster.submit("patient", "patient", b"2")
    cluster.submit("nothing", "patient")
    cluster.submit("effect", "later", not_before=now + 3_000_000)
    cluster.submit("effect", "later")
    cluster.submit("effect", "stuck")
    cluster.submit("blocks", "stuck")
    cluster.submit("nothing", "stuck")
    cluster.submit("effect", "stuck", b"null", Priority.CRITICAL)
    for number in range(45):
        cluster.submit("flaky", "hot", b"1" if number in (3, 41) else b"0")
    cluster.submit("effect", "hot", b"null", Priority.HIGH)
    first = cluster.acked[0].record
    cluster.submit(first.type, first.entity, first.payload, first.priority, job=first.job)
