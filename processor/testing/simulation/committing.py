"""What have handlers of a simulated run committed, and was it once and in order?

The numbers are those of the invariants that the chaos tests check on the real parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from processor.ports.ledger import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.adapters.memory.database import MemoryDatabase
    from processor.domain.ids import JobId
    from processor.ports.transactions import Claim
    from processor.testing.cluster import Acked
    from processor.testing.operated import OperatedCluster
    from processor.testing.recording import Call


class Commit(NamedTuple):
    """What one transaction has done, as its number among all."""

    number: int


class Committed(NamedTuple):
    """What a job's own transaction has done."""

    job: JobId
    generation: int
    calls: tuple[Call, ...]


def keep(database: MemoryDatabase, claim: Claim, calls: tuple[Call, ...]) -> None:
    """Write it into the database itself, which forgets it in a failover."""
    commit = Commit(sum(isinstance(key, Commit) for key in database.values))
    database.values[commit] = Committed(claim.job, claim.generation, calls)


def commits(cluster: OperatedCluster) -> list[Committed]:
    """All of them, in their order."""
    values = cluster.database.values
    found = sorted(key for key in values if isinstance(key, Commit))
    return [one for one in map(values.__getitem__, found) if isinstance(one, Committed)]


def wrong_commits(cluster: OperatedCluster) -> Iterator[str]:
    """1, 2, 6: once, only where the job is complete, in the order of the log."""
    written = commits(cluster)
    for job, times in Counter(one.job for one in written).items():
        if times > 1:
            yield f"1: {job} was committed {times} times"
    for one in written:
        row = cluster.database.ledger.get((one.job, one.generation))
        if row is None or row.ending is not Ending.COMPLETE:
            yield f"2: {one.job} g{one.generation} was committed and is not complete"
    yield from _out_of_order(cluster, {one.job: at for at, one in enumerate(written)})


def _out_of_order(cluster: OperatedCluster, number: dict[JobId, int]) -> Iterator[str]:
    again = {job for job, generation in cluster.database.ledger if generation > 1}
    lines: dict[object, dict[JobId, Acked]] = defaultdict(dict)
    for acked in sorted(cluster.acked, key=lambda one: one.offset):
        record = acked.record
        if record.not_before is None and acked.job not in again:
            lines[record.tenant, record.entity, acked.lane].setdefault(acked.job, acked)
    for line in lines.values():
        numbers = [number[job] for job in line if job in number]
        if numbers != sorted(numbers):
            told = ", ".join(str(job) for job in sorted(line, key=lambda job: number.get(job, -1)))
            yield f"6: the jobs of one entity and lane were committed in another order: {told}"
