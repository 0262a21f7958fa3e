"""Which handlers does our own simulation run, and what must they have written?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from tenacity import wait_fixed

from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.member import this_process
from processor.testing.operated import OperatedCluster
from processor.testing.simulation.plan import Chances
from processor.testing.simulation.running import Simulation
from tests.invariants import WRITING, effects
from tests.waiting import HAVE_EFFECTS, waiting_jobs

PAYLOADS: Final = {
    "flaky": b"2",
    "patient": b"1",
    "long": b"0.7",
    "parent": b"1",
    "needs_a_number": b'"no number"',
}
TYPES: Final = (
    "effect", "effect", "nothing", "stumbles", "fails", "rejects", "flaky", "patient", "blocks",
    "long", "parent", "needs_a_number", "missing", "poison",
)  # fmt: skip


def simulated_jobs() -> Jobs:
    """The handlers that wait, and one that submits follow-ups."""
    jobs = waiting_jobs()

    @jobs.handler("parent", retry=Retry(attempts=3, wait=wait_fixed(2)))
    async def parent(request: Request[int]) -> None:
        request.submit(Submission("nothing", request.attempt, entity="child"))
        connection = await request.connection()
        await connection.put(("parent", request.job_id), request.attempt)
        if request.attempt <= request.payload:
            raise RuntimeError("not yet")

    @jobs.handler("poison", retry=Retry(attempts=2))
    async def poison(request: Request[Any]) -> None:
        connection = await request.connection()
        await connection.put(("poison", request.job_id), 1)
        raise this_process().die_in_a_call()

    return jobs


def wrong_effects(cluster: OperatedCluster) -> Iterator[str]:
    """1, 2, 6: once, if and only if the job is complete, in the order of the log."""
    written = effects(cluster)
    for job, times in Counter(effect.job for effect in written).items():
        if times > 1:
            yield f"1: {job} took effect {times} times"
    types = {acked.job: acked.record.type for acked in cluster.acked}
    rows = cluster.database.ledger.items()
    complete = {job for (job, _), row in rows if row.ending is Ending.COMPLETE}
    expected = {job for job in complete if types.get(job) in WRITING | set(HAVE_EFFECTS)}
    for job in expected ^ {effect.job for effect in written}:
        yield f"2: {job} is complete without its effect, or the other way round"
    yield from _out_of_order(cluster)


def _out_of_order(cluster: OperatedCluster) -> Iterator[str]:
    number = {effect.job: effect.number for effect in effects(cluster)}
    again = {job for job, generation in cluster.database.ledger if generation > 1}
    late = {acked.job for acked in cluster.acked if acked.record.not_before}
    lines: dict[tuple[str, Priority], list[Any]] = defaultdict(list)
    for acked in sorted(cluster.acked, key=lambda one: one.offset):
        if acked.job in number and acked.job not in again | late:
            lines[acked.record.entity, acked.lane].append(number[acked.job])
    for line, numbers in lines.items():
        if numbers != sorted(numbers):
            yield f"6: {line} took effect in the order {numbers}"


SIMULATION: Final = Simulation(simulated_jobs, Chances(TYPES), PAYLOADS, wrong_effects)
