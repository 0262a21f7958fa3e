"""Which jobs ended so long ago that their history goes?

Seven days after its end; a dead letter that is open keeps its job's history, and the end of the
next generation begins the seven days anew. Once an hour, in small batches with pauses between.

A dead letter that the history knows of and the letters do not yet must keep its job, too: so of
each batch the ends are read first, then how far the letters are folded, then the batch is forgotten
by a statement that looks once more. While a rebuild is under way nothing is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.errors import Unavailable
from processor.domain.horizon import ended_before
from processor.ports.ledger import Fault
from processor.ports.rebuilding import PREFIX
from projections.dead_letters import NAME as LETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.ports.clock import Clock
    from processor.ports.cutting import Extent
    from processor.ports.forgetting import Ended, HistoryPruning, Office, ReadSide
    from processor.ports.log import Place
    from processor.ports.rebuilding import Rebuilding

EVERY: Final = 3600.0
"""Seconds between two rounds."""
ASKS: Final = 60.0
"""Seconds until a projector without the office, or one whose round failed, tries again."""
BATCH: Final = 500
"""Jobs, or rows, in one statement."""
LOOKS: Final = 20
"""So often, with a pace between, it looks whether the letters have come as far."""
PACE: Final = 0.1
"""Seconds between two such statements."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """What the pruner asks of the world."""

    office: Office
    pruning: HistoryPruning
    read_side: ReadSide
    extent: Extent
    clock: Clock
    rebuild: Office
    """Held while somebody rebuilds."""
    rebuilding: Rebuilding


@dataclass(slots=True)
class Pruned:
    """What one round came to."""

    rows: int = 0
    """Of the history."""
    letters: int = 0
    whole: bool = True
    """False where it broke off: the letters lag behind, or a rebuild is under way."""


class Pruner:
    """Forgets jobs that are over, round after round."""

    def __init__(self, duties: Duties, letters: Sequence[Place]) -> None:
        """`letters`: every partition of the dead-letter topic."""
        self._duties = duties
        self._letters = letters

    async def run(self) -> None:
        """Prune once an hour until cancelled, while this process holds the office."""
        while True:
            pause = ASKS
            try:
                if await self._duties.office.held() and (await self.prune()).whole:
                    pause = EVERY
            except (Fault, Unavailable) as failure:
                log.warning("the pruner tries again", because=str(failure))
            await self._duties.clock.sleep(pause)

    async def prune(self) -> Pruned:
        """One round."""
        pruned = Pruned()
        await self._clear()
        before = ended_before(self._duties.clock.now())
        await self._forget_history(before, pruned)
        if pruned.whole:
            await self._forget_live(before)
            await self._forget_letters(pruned)
        if pruned.rows or pruned.letters:
            log.info("pruned", history_rows=pruned.rows, letters=pruned.letters)
        return pruned

    async def _clear(self) -> None:
        """Drop what a rebuild left behind that was killed: it would hold the janitor back."""
        duties = self._duties
        if _is_rebuilt(await duties.read_side.checkpoints()) and await duties.rebuild.held():
            try:
                await duties.rebuilding.abandon()
            finally:
                duties.rebuild.leave()

    async def _forget_history(self, before: int, pruned: Pruned) -> None:
        last: Ended | None = None
        while ends := await self._duties.pruning.ended(before, last, BATCH):
            if not await self._knows_every_letter():
                pruned.whole = False
                return
            jobs = sorted({end.job for end in ends})
            pruned.rows += await self._duties.pruning.forget(jobs, before)
            last = ends[-1]
            await self._duties.clock.sleep(PACE)

    async def _knows_every_letter(self) -> bool:
        """Whether the letters are folded up to here, and nobody rebuilds."""
        bounds = await self._duties.extent.bounds(self._letters)
        for _ in range(LOOKS):
            read = await self._duties.read_side.checkpoints()
            if _is_rebuilt(read):
                return False
            if all(_has_read(read.get(place, {}), end) for place, (_, end) in bounds.items()):
                return True
            await self._duties.clock.sleep(PACE)
        return False

    async def _forget_live(self, before: int) -> None:
        last: bytes | None = None
        while (last := await self._duties.pruning.forget_live(before, last, BATCH)) is not None:
            await self._duties.clock.sleep(PACE)

    async def _forget_letters(self, pruned: Pruned) -> None:
        bounds = await self._duties.extent.bounds(self._letters)
        starts = {place.partition: start for place, (start, _) in bounds.items()}
        while gone := await self._duties.pruning.forget_letters(starts, BATCH):
            pruned.letters += gone
            await self._duties.clock.sleep(PACE)


def _is_rebuilt(checkpoints: Mapping[Place, Mapping[str, int]]) -> bool:
    return any(name.startswith(PREFIX) for known in checkpoints.values() for name in known)


def _has_read(checkpoints: Mapping[str, int], end: int) -> bool:
    return checkpoints.get(LETTERS, 0) >= end
