"""How does a worker take a partition over?

It waits until the row is released, at most the drain time, or until its worker is dead; then it
puts its own token in the place of the one it saw (H25, H26). An owner that died without letting go
leaves its partition under suspicion; one that lived on, or said that it leaves, does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import structlog

from processor.domain.quarantine import Found, Quarantine
from processor.ports.log import LogCut, Place
from processor.ports.ownership import Fence
from processor.runtime.partition import OwnedPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from processor.domain.pulse import Pulses
    from processor.ports.clock import Clock
    from processor.ports.ownership import Owner, Ownership
    from processor.runtime.fetching import LaneFetcher

log = structlog.get_logger(__name__)


class Taker:
    """Takes over what may be taken."""

    def __init__(
        self,
        worker: UUID,
        ownership: Ownership,
        clock: Clock,
        fetchers: Sequence[LaneFetcher],
        pulses: Pulses,
        drain: float,
        may_dispatch: Callable[[], bool],
    ) -> None:
        """`drain`: seconds that an owner which lives has to let go."""
        self._worker = worker
        self._ownership = ownership
        self._clock = clock
        self._fetchers = fetchers
        self._pulses = pulses
        self._drain = drain
        self._may_dispatch = may_dispatch
        self._owned_at: dict[UUID | None, float] = {}
        """When each token was first seen that stands over what is wanted."""

    async def take(self, wanted_since: Mapping[int, float]) -> list[OwnedPartition]:
        """What could be taken of the partitions that are wanted since then.

        Raises `LogCut` where a position is not in the log.
        """
        found: list[tuple[OwnedPartition, Owner]] = []
        owners = await self._ownership.owners(wanted_since.keys())
        now, before = self._clock.monotonic(), self._owned_at
        self._owned_at = {one.token: before.get(one.token, now) for one in owners.values()}
        for number, since in sorted(wanted_since.items()):
            seen = owners[number]
            if not self._may_take(seen, since) or not self._may_dispatch():
                continue
            token, unclean = uuid4(), self._is_dead(seen)
            owner = await self._ownership.take(seen, token, self._worker, unclean=unclean)
            if owner is not None:
                found.append((OwnedPartition(Fence(number, token), owner.positions), owner))
                log.info("took a partition over", partition=number, epoch=owner.epoch)
        taken = [partition for partition, _ in found]
        ends = await self._ends(taken)
        for partition, owner in found:
            if owner.unclean:
                partition.quarantine = _quarantine(owner, ends[partition.number])
        return taken

    def _may_take(self, seen: Owner, since: float) -> bool:
        if seen.released or seen.worker is None or seen.worker == self._worker:
            return True
        if self._is_dead(seen):
            return True
        # Past the drain time it must be known to live: a death that nobody counts has no end.
        waited = self._clock.monotonic() - since
        return waited >= self._drain and self._pulses.has_beaten_since(seen.worker, since)

    def _is_dead(self, seen: Owner) -> bool:
        if seen.released or seen.worker is None or seen.worker == self._worker:
            return False
        return self._pulses.dead(seen.worker, self._clock.monotonic(), self._owned_at[seen.token])

    async def _ends(self, taken: Sequence[OwnedPartition]) -> dict[int, list[int]]:
        """Where the lanes of each partition end; raises `LogCut`."""
        ends: dict[int, list[int]] = {partition.number: [] for partition in taken}
        for fetcher in self._fetchers:
            places = [Place(fetcher.topic, partition.number) for partition in taken]
            bounds = await fetcher.reader.bounds(places) if places else {}
            for partition, place in zip(taken, places, strict=True):
                start, end = bounds[place]
                position = partition.position(fetcher.lane).next
                if not start <= position <= end:
                    raise LogCut(place, position, start, end)
                ends[partition.number].append(end)
        return ends


def _quarantine(owner: Owner, ends: Sequence[int]) -> Quarantine:
    reached = owner.suspect_until or owner.positions
    log.warning(
        "a partition's owners died: what may have killed them is watched",
        partition=owner.partition,
        deaths=owner.unclean,
        suspects=[(one.lane.label, one.offset, one.deaths) for one in owner.suspects],
    )
    return Quarantine(Found(owner.unclean, reached, owner.suspects), owner.positions, ends)
