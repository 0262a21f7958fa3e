"""What in a cluster can still come to an end now, and when does the next thing fall due?

Looked at from outside, in what is written: lanes, rows that wait, checkpoints of projections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.priority import LANES
from processor.ports.holds import HoldKind
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from processor.adapters.memory.rows import Waiting
    from processor.domain.priority import Priority
    from processor.testing.operated import OperatedCluster
    from projections.projection import Projection


class Unsettled:
    """Looks at a cluster whose projections move by themselves."""

    def __init__(self, cluster: OperatedCluster, projections: Iterable[Projection]) -> None:
        self._cluster = cluster
        self._projections = tuple(projections)

    def why(self) -> str | None:
        """What is on its way, in words; None where only time or an operator changes anything."""
        return next(self._reasons(), None)

    def next_due(self) -> int | None:
        """When, in microseconds since the epoch, the next job or hold falls due; None: never."""
        database, now = self._cluster.database, self._cluster.clock.now()
        times = [one.due_at for one in database.waiting.values()]
        times += [hold.until for hold in database.holds.values()]
        return min((at for at in times if at is not None and at > now), default=None)

    def _reasons(self) -> Iterator[str]:
        yield from self._running()
        yield from self._unread()
        for waiting in self._cluster.database.waiting.values():
            if self._goes_on(waiting):
                yield f"job {waiting.row.job} is due, and waits as {waiting.row.state!r}"
        yield from self._unprojected()

    def _running(self) -> Iterator[str]:
        for member in self._cluster.members:
            for delivery in () if member.dead else member.runtime.dispatcher.attempts():
                record = delivery.record
                yield f"job {record.job} of type {record.type!r} is running"

    def _unread(self) -> Iterator[str]:
        cluster = self._cluster
        owned = {
            number: partition
            for member in cluster.members
            if not member.dead
            for number, partition in member.runtime.keeper.owned.items()
        }
        for number in range(cluster.partitions):
            if number not in owned:
                yield f"partition {number} has no worker"
                continue
            for lane in LANES:
                done = owned[number].position(lane).next
                if done < cluster.end(lane, number) and not self._is_held(lane):
                    yield f"lane {lane.label} of partition {number} is not done to its end"

    def _goes_on(self, waiting: Waiting) -> bool:
        """Whether a row changes without anybody's doing and before its time."""
        database, row = self._cluster.database, waiting.row
        due = waiting.due_at is not None and waiting.due_at <= database.clock.now()
        if database.is_over(row):
            return True
        if self._is_held(row.lane):
            return False
        if row.state == WaitingState.QUEUED:
            heads = database.heads(row.entity_key)
            return not any(not database.is_over(head) for head in heads)
        if waiting.hold is not None:
            return due or not database.is_open(waiting.hold)
        return due or row.state == WaitingState.RUNNING

    def _is_held(self, lane: Priority) -> bool:
        database = self._cluster.database
        return any(
            (hold.kind, hold.value) == (HoldKind.LANE, lane.label) and database.is_open(hold.id)
            for hold in database.holds.values()
        )

    def _unprojected(self) -> Iterator[str]:
        cluster = self._cluster
        for projection in self._projections:
            for place in projection.places:
                seen = cluster.projections.checkpoints.get((projection.name, place), 0)
                if seen < cluster.topics.partitions[place].end:
                    yield f"{place.topic} is not projected to its end"
