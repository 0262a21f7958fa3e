"""What must hold at every moment of a simulated run?

The numbers are those of the invariants that the chaos tests check on the real parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from processor.domain.priority import LANES
from processor.ports.ledger import Ending
from processor.testing.naming import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.domain.ids import JobId
    from processor.testing.operated import OperatedCluster
    from processor.testing.simulation.disturbing import Disturbing
    from processor.testing.simulation.writing import Writes

LOOKS_EVERY: Final = 0.5


class Watch:
    """Looks while the run is going on; `seen` is what was wrong, each once."""

    def __init__(self, cluster: OperatedCluster, disturbing: Disturbing, writes: Writes) -> None:
        self._cluster = cluster
        self._writes = writes
        self.seen: dict[str, None] = {}
        disturbing.on_commit(self._on_commit)

    async def look(self) -> None:
        """Look again and again until cancelled."""
        while True:
            looks = (*self._lost(), *self._unpublished(), *self._heads(), *self._cut())
            self.seen |= dict.fromkeys(looks)
            await self._cluster.clock.sleep(LOOKS_EVERY)

    def _lost(self) -> Iterator[str]:
        """3: what lies below a position has an end or a row."""
        database = self._cluster.database
        rows = (database.ledger, database.waiting, self._writes.pruned)
        known = {job for one in rows for job, _ in one}
        for acked in self._cluster.acked:
            position = database.owners[acked.partition].positions[acked.lane]
            if acked.offset < position and acked.job not in known:
                yield f"3: {acked.job} lies below the position and has neither end nor row"

    def _unpublished(self) -> Iterator[str]:
        """4: what lies below a position and has ended is in the journal."""
        database, told = self._cluster.database, set(self._cluster.published())
        for row in database.ledger.values():
            done = row.offset < database.owners[row.partition].positions[row.lane]
            waits = any(job == row.job for job, _ in database.waiting)
            ours = row.ending in (Ending.COMPLETE, Ending.FAILED)  # who cancels publishes himself
            if done and ours and not waits and row.body not in told:
                yield f"4: {row.job} is done and its end is not in the journal"

    def _heads(self) -> Iterator[str]:
        """7: an entity has at most one head."""
        database = self._cluster.database
        heads = Counter(
            waiting.row.entity_key
            for waiting in database.waiting.values()
            if waiting.row.holds and not database.is_over(waiting.row)
        )
        for entity, number in heads.items():
            if number > 1:
                yield f"7: an entity has {number} heads ({entity})"

    def _cut(self) -> Iterator[str]:
        """15: what is not done is not cut off its lane."""
        for place, partition in self._cluster.topics.partitions.items():
            if partition.start and place.topic in TOPICS.lanes:
                lane = LANES[TOPICS.lanes.index(place.topic)]
                position = self._cluster.database.owners[place.partition].positions[lane]
                if position < partition.start:
                    yield f"15: {place.topic} was cut at {partition.start}, done is {position}"

    def _on_commit(self) -> None:
        """One at a time: an entity has one transaction open, and none beside its head's."""
        database = self._cluster.database
        open_: dict[int, list[JobId]] = defaultdict(list)
        for member in self._cluster.members:
            own = (transaction.claim for transaction in member.transactions.open)
            for claim in (*own, *member.shared_transactions.claimed()):
                open_[claim.entity_key].append(claim.job)
        for entity, jobs in open_.items():
            if len(jobs) > 1:
                self.seen[f"7: {len(jobs)} transactions of entity {entity} are open"] = None
            heads = [row for row in database.heads(entity) if not database.is_over(row)]
            for row in heads:
                if any(job != row.job for job in jobs):
                    self.seen[f"7: a transaction is open beside its entity's head {row.job}"] = None
