"""What must hold of a cluster in memory, whatever happened to its workers?

The numbers are those of the invariants that every chaos test checks. The handlers of `recording`
leave the effects that are looked at: within an entity numbered in the order of their commits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

from tenacity import wait_fixed

from processor.domain.errors import Reject
from processor.domain.events import Durable, Started
from processor.domain.ids import JobId, partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs, Mode
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.naming import CODEC


class Effect(NamedTuple):
    """What a handler of `recording` wrote in its job's transaction."""

    job: JobId
    entity: str
    number: int


def recording(transaction: Mode = "own") -> Jobs:  # noqa: C901 - one small handler after the other
    """Handlers that end in every way: with a transaction or none, at once or not, or never."""
    jobs = Jobs()

    async def effect(request: Request[Any]) -> int:
        connection = await request.connection()
        number = await connection.get(("count", request.entity)) or 0
        await connection.put(("count", request.entity), number + 1)
        written = await connection.get(("effects", request.job_id)) or ()
        one = Effect(request.job_id, request.entity, number)
        await connection.put(("effects", request.job_id), (*written, one))
        return int(number)

    async def nothing(request: Request[Any]) -> str:
        return request.type

    async def fails(request: Request[Any]) -> None:
        await effect(request)
        raise RuntimeError("it fails after it wrote")

    async def rejects(request: Request[Any]) -> None:
        raise Reject("never")

    async def needs_a_number(request: Request[int]) -> None:
        await effect(request)

    async def stumbles(request: Request[Any]) -> int:
        number = await effect(request)
        if request.attempt < ATTEMPTS:
            raise RuntimeError("it fails after it wrote, and is run again")
        return number

    again = Retry(attempts=ATTEMPTS, wait=wait_fixed(0.5))
    jobs.register("stumbles", stumbles, retry=again, transaction=transaction)
    for function in (effect, nothing, fails, rejects, needs_a_number):
        once = Retry(attempts=1)
        jobs.register(function.__name__, function, retry=once, transaction=transaction)
    return jobs


TYPES = ("effect", "nothing", "stumbles", "needs_a_number", "effect", "fails", "missing", "rejects")
WRITING = frozenset({"effect", "stumbles"})
ATTEMPTS = 3


def submit_a_mixture(cluster: MemoryCluster, entities: int = 3) -> None:
    """Jobs of every type, in every lane, for a few entities, and a duplicate."""
    kinds = 0
    for number in range(entities):
        for lane in LANES:
            for _ in range(2):
                cluster.submit(TYPES[kinds % len(TYPES)], f"entity-{number}", b'"text"', lane)
                kinds += 1
            kinds += 1
    first = cluster.acked[0].record
    cluster.submit(first.type, first.entity, first.payload, first.priority, job=first.job)


def effects(cluster: MemoryCluster) -> list[Effect]:
    """Every effect that was committed."""
    written: list[Effect] = []
    for key, value in cluster.database.values.items():
        if isinstance(key, tuple) and key[0] == "effects":
            assert isinstance(value, tuple)
            written += value
    return written


def check(cluster: MemoryCluster) -> None:
    """Everything, at the end of a run."""
    check_once(cluster)
    check_nothing_is_lost(cluster)
    check_published(cluster)
    check_order(cluster)
    check_job_failed(cluster)
    assert cluster.at_the_end(), "9, 17: a position did not reach its end, or a row still waits"
    assert not cluster.database.locks, "an entity's lock is still held"


def check_once(cluster: MemoryCluster, writing: Collection[str] = WRITING) -> None:
    """1 and 2: effects exactly once, and exactly for complete jobs that have some."""
    written = Counter(effect.job for effect in effects(cluster))
    assert [job for job, times in written.items() if times > 1] == [], "1: an effect twice"
    types = {acked.job: acked.record.type for acked in cluster.acked}
    complete = {
        job for (job, _), row in cluster.database.ledger.items() if row.ending is Ending.COMPLETE
    }
    expected = {job for job in complete if types.get(job) in writing}
    assert written.keys() == expected, "2: effects and complete jobs differ"


def check_nothing_is_lost(cluster: MemoryCluster) -> None:
    """3: every acknowledged submission has exactly one row; no row stands for nothing."""
    ended = Counter(job for job, _ in cluster.database.ledger)
    missing = {acked.job for acked in cluster.acked} - ended.keys()
    assert not missing, f"3: {len(missing)} acknowledged jobs have no end"
    assert set(ended.values()) <= {1}


def check_published(cluster: MemoryCluster) -> None:
    """4, 5, 10, 11: the journal has the ledger's ends, all copies the same, and nothing else."""
    ends: dict[tuple[JobId, int], set[bytes]] = defaultdict(set)
    before: list[Outcome] = []
    for body in cluster.published():
        outcome = CODEC.decode_journal(body)
        if not isinstance(outcome, Outcome):
            continue
        if outcome.end is None:
            before.append(outcome)
        else:
            ends[outcome.job, outcome.generation].add(body)
    stored = {key: {row.body} for key, row in cluster.database.ledger.items()}
    assert ends == stored, "4, 5: journal and ledger differ"
    for outcome in before:
        steps = _steps(outcome)
        whole = _steps(cluster.outcome(outcome.job))
        assert whole[: len(steps)] == steps, "10: an outcome is not contained in the next"
        attempts = [attempt for kind, attempt in whole if kind is Started]
        assert max(attempts) <= ATTEMPTS, "11: more attempts than the policy grants"


def _steps(outcome: Outcome) -> list[tuple[type[Durable], int]]:
    return [(type(event), getattr(event, "attempt", 0)) for event in outcome.events]


def check_order(cluster: MemoryCluster) -> None:
    """6: within an entity and lane effects took place in the log's order, schedules apart."""
    number = {effect.job: effect.number for effect in effects(cluster)}
    lines: dict[tuple[str, Priority], list[int]] = defaultdict(list)
    seen = set()
    for acked in sorted(cluster.acked, key=lambda one: one.offset):
        if acked.job in number and acked.job not in seen and acked.record.not_before is None:
            seen.add(acked.job)
            lines[acked.record.entity, acked.lane].append(number[acked.job])
    assert [line for line in lines.values() if line != sorted(line)] == [], "6: order"


def check_job_failed(cluster: MemoryCluster) -> None:
    """12: `JobFailed` was told of exactly the jobs that failed, every copy the same."""
    failed = {key for key, row in cluster.database.ledger.items() if row.ending is Ending.FAILED}
    told = {(event.job, event.generation) for event in _told(cluster)}
    assert told == failed, "12: JobFailed and the ledger differ"
    assert len(set(cluster.job_failed())) == len(failed), "12: copies of JobFailed differ"


def _told(cluster: MemoryCluster) -> list[Any]:
    return [CODEC.decode_job_failed(body) for body in cluster.job_failed()]


def partition_of_entity(cluster: MemoryCluster, number: int = 0) -> str:
    """The name of an entity that lives in that partition."""
    names = (f"entity-{index}" for index in range(1_000))
    return next(name for name in names if partition_of(name, cluster.partitions) == number)
