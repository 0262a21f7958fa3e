"""Who forgets in a simulated run?

A real janitor, to whom a second is a good part of a day: so what the others do within seconds is to
him the work of weeks. What he has forgotten is laid back before the run's end is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.memory.clock import START
from processor.adapters.memory.cutting import MemoryCutting
from processor.adapters.memory.forgetting import MemoryForgetting, MemoryOffice, Offices
from processor.adapters.memory.ownership import MemoryOwnership
from processor.domain.horizon import DAY, DAYS_OF_LOG
from processor.runtime.janitor import EVERY, Duties, Janitor
from processor.testing.naming import TOPICS
from processor.testing.process import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from processor.ports.clock import Clock
    from processor.ports.log import Place
    from processor.testing.operated import OperatedCluster
    from processor.testing.process import Hook
    from processor.testing.simulation.writing import Writes

ROUND: Final = 0.5
"""Seconds between two rounds, which are an hour to him."""


class Calendar:
    """Implements `Clock`: the moments of a run, as they are to who forgets."""

    def __init__(self, clock: Clock, days: float) -> None:
        """`days` is how many of them a second is."""
        self._clock = clock
        self._longer = days * DAY / 1e6

    def now(self) -> int:
        """See `Clock`."""
        return self.of(self._clock.now())

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await self._clock.sleep(seconds * ROUND / EVERY)

    def of(self, moment: int) -> int:
        """A moment of the run."""
        return START + round((moment - START) * self._longer)

    def back(self, moment: int) -> int:
        """What moment of the run that is."""
        return START + round((moment - START) / self._longer)


class JanitorProcess(Process):
    """One process that forgets."""

    def __init__(self, cluster: OperatedCluster, hook: Hook, days: float) -> None:
        super().__init__("janitor", hook)
        calendar = Calendar(cluster.clock, days)
        forgetting = _Forgetting(cluster.database, cluster.projections, {}, step=self.passes)
        cutting = _Cutting(cluster.topics, step=self.passes)
        forgetting.calendar = cutting.calendar = calendar
        duties = Duties(
            office=MemoryOffice(Offices(), "janitor", step=self.passes),
            horizon=forgetting,
            read_side=forgetting,
            ledger=forgetting,
            ownership=MemoryOwnership(cluster.database, step=self.passes),
            cutting=cutting,
            clock=calendar,
        )
        self._janitor = Janitor(duties, TOPICS, cluster.partitions)
        self.long = (DAYS_OF_LOG + 2) / days
        """Seconds after which nothing is kept because it is young."""

    def start(self) -> None:
        """Begin to forget."""
        self.begin(self._janitor.run())


class _Forgetting(MemoryForgetting):
    calendar: Calendar

    async def prune(self, before: Mapping[int, int], limit: int) -> AsyncIterator[int]:
        """See `LedgerPruning`."""
        moments = {number: self.calendar.back(moment) for number, moment in before.items()}
        async for rows in super().prune(moments, limit):
            yield rows


class _Cutting(MemoryCutting):
    calendar: Calendar

    async def appended_at(self, offsets: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `Extent`."""
        found = await super().appended_at(offsets)
        return {place: self.calendar.of(moment) for place, moment in found.items()}


def lay_back(cluster: OperatedCluster, writes: Writes) -> None:
    """Let ledger and log be as if nothing had been forgotten."""
    for name, row in writes.pruned.items():
        cluster.database.ledger.setdefault(name, row)
    for partition in cluster.topics.partitions.values():
        partition.records = partition.whole
        partition.start, partition.cut = 0, []
