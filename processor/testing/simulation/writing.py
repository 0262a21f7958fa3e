"""May who writes into a simulated database write that?

Looked at where it is written, without asking whoever wrote it. The numbers are those of the
invariants that the chaos tests check on the real parts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from processor.domain.events import Failed, Reason
from processor.domain.priority import LANES
from processor.domain.quarantine import DEATHS_TO_CONVICT
from processor.ports.log import Place
from processor.testing.naming import CODEC, TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processor.adapters.memory.rows import Waiting
    from processor.domain.ids import JobId
    from processor.ports.ledger import LedgerRow
    from processor.ports.ownership import Owner
    from processor.testing.operated import OperatedCluster

K = TypeVar("K")
V = TypeVar("V")
Name = tuple["JobId", int]
DEATHS: Final = DEATHS_TO_CONVICT
"""As it is while nobody has switched anything off."""


class Heard(dict[K, V]):
    """A table that tells of each row written or deleted; not of one that a failover puts back."""

    def __init__(
        self,
        rows: dict[K, V],
        written: Callable[[V | None, V], None],
        deleted: Callable[[K, V], None] = lambda *_: None,
    ) -> None:
        super().__init__(rows)
        self._written = written
        self._deleted = deleted

    def __setitem__(self, key: K, row: V) -> None:
        self._written(self.get(key), row)
        super().__setitem__(key, row)

    def __delitem__(self, key: K) -> None:
        self._deleted(key, self[key])
        super().__delitem__(key)


class Writes:
    """Hears of every write from now on; `seen` is what was wrong, each once."""

    def __init__(self, cluster: OperatedCluster) -> None:
        self._cluster = cluster
        self.seen: dict[str, None] = {}
        self.pruned: dict[Name, LedgerRow] = {}
        """What of the ledger was forgotten."""
        self._deaths: Counter[tuple[int, int, int]] = Counter()
        """By partition, lane and offset: owners that died while it was their only suspect."""
        database = cluster.database
        database.waiting = Heard(database.waiting, self._waits)
        database.owners = Heard(database.owners, self._taken)
        database.ledger = Heard(database.ledger, lambda *_: None, self._pruned)

    def convicted(self) -> Iterator[str]:
        """16: who ended as `WorkerLost` was three times what alone its dying owner had at hand."""
        for (job, generation), row in self._cluster.database.ledger.items():
            end = self._cluster.outcome(job, generation).end
            if not isinstance(end, Failed) or end.reason is not Reason.WORKER_LOST:
                continue
            deaths = self._deaths[row.partition, row.lane, row.offset]
            if deaths < DEATHS:
                yield f"16: {job} g{generation} is WorkerLost, and {deaths} died with it alone"

    def _waits(self, before: Waiting | None, row: Waiting) -> None:
        """8: a waiting row is written under the token that its partition has."""
        if before is not None and before.row.revision == row.row.revision:
            return
        if self._cluster.database.owners[row.partition].token != row.token:
            self.seen[f"8: {row.row.job} was made to wait under a token that stands no more"] = None

    def _taken(self, before: Owner | None, owner: Owner) -> None:
        if before is None or owner.unclean <= before.unclean:
            return
        for key, (mark, _) in self._cluster.database.suspects.items():
            if key[0] == owner.partition and mark and mark.alone and mark.worker == before.worker:
                self._deaths[key] += 1

    def _pruned(self, name: Name, row: LedgerRow) -> None:
        """15: no row of the ledger is forgotten while a record of its job is unread."""
        self.pruned[name] = row
        cluster = self._cluster
        for lane in LANES:
            partition = cluster.topics.partitions[Place(TOPICS.lane(lane), row.partition)]
            position = cluster.database.owners[row.partition].positions[lane]
            for record in partition.records[max(0, position - partition.start) :]:
                if CODEC.decode_submission(record.value or b"").job == row.job:
                    self.seen[f"15: the end of {row.job} is forgotten, a record of it unread"] = (
                        None
                    )
