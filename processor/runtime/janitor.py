"""What of the log and of the ledger may be forgotten by now?

One elected worker looks once an hour. It stores what stands today (of a lane its position, of every
topic the projections' checkpoints), cuts each topic below what stood eight days ago and is not
needed now, and deletes rows of the ledger whose records can no longer come (H39, H40, H41). Every
step may be repeated and may be the last: what is stored first stays, a cut only ever moves up.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.errors import Unavailable
from processor.domain.horizon import cut_below, day_of, ledger_before, standing
from processor.domain.priority import LANES
from processor.ports.ledger import Fault
from processor.ports.log import LogCut, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.domain.horizon import Cut
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.cutting import Cutting
    from processor.ports.forgetting import Horizon, LedgerPruning, Office, ReadSide
    from processor.ports.ownership import Ownership, Positions

EVERY: Final = 3600.0
"""Seconds between two rounds."""
ASKS: Final = 60.0
"""Seconds until a worker without the office, or one whose round failed, tries again."""
ROWS: Final = 2_000
"""Of the ledger in one statement."""
PACE: Final = 0.1
"""Seconds between two such statements."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """What the janitor asks of the world."""

    office: Office
    horizon: Horizon
    read_side: ReadSide
    ledger: LedgerPruning
    ownership: Ownership
    cutting: Cutting
    clock: Clock


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one round came to."""

    cut: Mapping[Place, int]
    """Below which offset the log was cut, where it was."""
    pruned: int
    """Rows of the ledger."""


class Janitor:
    """Forgets what nothing needs any more, round after round."""

    def __init__(self, duties: Duties, topics: Topics, partitions: int) -> None:
        self._duties = duties
        self._topics = topics
        self._partitions = range(partitions)
        self._lanes = {topics.lane(lane): lane for lane in LANES}

    async def run(self) -> None:
        """Tidy once an hour until cancelled, while this process holds the office."""
        while True:
            pause = ASKS
            try:
                if await self._duties.office.held():
                    await self.tidy()
                    pause = EVERY
            except (Fault, Unavailable, LogCut) as failure:
                log.warning("the janitor tries again", because=str(failure))
            await self._duties.clock.sleep(pause)

    async def tidy(self) -> Tidied:
        """One round."""
        duties = self._duties
        now = duties.clock.now()
        # Positions before anything else: what moves on meanwhile is only kept longer.
        owners = await duties.ownership.owners(self._partitions)
        positions = {number: owner.positions for number, owner in owners.items()}
        stands = self._standing(positions, await duties.read_side.checkpoints())
        await duties.horizon.remember(day_of(now), stands)
        tidied = Tidied(
            await self._cut(day_of(now), stands),
            await self._prune(now, positions),
        )
        if tidied.cut or tidied.pruned:
            log.info("forgot", places_cut=len(tidied.cut), ledger_rows=tidied.pruned)
        return tidied

    def _standing(
        self,
        positions: Mapping[int, Positions],
        checkpoints: Mapping[Place, Mapping[str, int]],
    ) -> dict[Place, int]:
        found: dict[Place, int] = {}
        for place in self._places():
            lane = self._lanes.get(place.topic)
            # A partition that no row speaks of has no position: nothing of its lanes may go.
            mine = positions.get(place.partition, (0, 0, 0, 0))
            position = None if lane is None else mine[lane]
            stands = standing(position, checkpoints.get(place, {}).values())
            if stands is not None:
                found[place] = stands
        return found

    def _places(self) -> list[Place]:
        topics = (*self._topics.lanes, self._topics.events, self._topics.dead_letters)
        return [Place(topic, number) for topic in topics for number in self._partitions]

    async def _cut(self, today: int, stands: Mapping[Place, int]) -> dict[Place, int]:
        duties = self._duties
        days = await duties.horizon.days()
        letters = await duties.read_side.open_letters()
        cuts: dict[Place, Cut] = {}
        for place, known in days.items():
            oldest = letters.get(place.partition) if self._holds_letters(place) else None
            cut = cut_below(known, today, stands.get(place), oldest)
            if cut is not None:
                cuts[place] = cut
        if not cuts:
            return {}
        bounds = await duties.cutting.bounds(list(cuts))
        below = {
            place: cut.offset
            for place, cut in cuts.items()
            # Above the end: the log lost records (H9), and whoever reads it will say so.
            if bounds[place][0] < cut.offset <= bounds[place][1]
        }
        await duties.cutting.cut(below)
        await duties.horizon.forget({place: cut.day for place, cut in cuts.items()})
        return below

    def _holds_letters(self, place: Place) -> bool:
        return place.topic == self._topics.dead_letters

    async def _prune(self, now: int, positions: Mapping[int, Positions]) -> int:
        before = await self._before(now, positions)
        pruned = 0
        async for rows in self._duties.ledger.prune(before, ROWS):
            pruned += rows
            await self._duties.clock.sleep(PACE)
        return pruned

    async def _before(self, now: int, positions: Mapping[int, Positions]) -> dict[int, int]:
        oldest = {
            Place(self._topics.lane(lane), number): held[lane]
            for number, held in positions.items()
            for lane in LANES
        }
        since = defaultdict(list)
        for place, at in (await self._duties.cutting.appended_at(oldest)).items():
            since[place.partition].append(at)
        return {number: ledger_before(now, since[number]) for number in positions}
