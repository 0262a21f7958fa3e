"""Does the log still say what the tables say?

A rebuild folds the log again from its start into a second set of tables, beside the projectors and
without a word to the dead-letter topic, where every fact stands already. Then it stands still, and
the set is completed with what reaches further back than the log, and compared. At last it follows
the log again until it has read as far as the tables have, while their checkpoints are held still,
and takes their place in that moment; the checkpoints are the tables' and do not change, so that
the projectors go on where they were. Whatever ends it before that leaves everything as it was.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from processor.domain.errors import ConfigurationError, Unavailable
from processor.domain.horizon import ended_before
from processor.ports.ledger import Fault
from processor.ports.rebuilding import PREFIX, Start
from projections.headings import LAST_SECOND
from projections.projection import Folded
from projections.projector import Projector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from processor.ports.clock import Clock
    from processor.ports.cutting import Extent
    from processor.ports.forgetting import Office
    from processor.ports.log import Append, LogFailure, Place, Reader
    from processor.ports.projection import Projections
    from processor.ports.rebuilding import Comparison, Completed, Rebuilding
    from projections.projection import Projection, Read

SHOWN: Final = 20
"""Differences that are told one by one."""
LOOK_SECONDS: Final = 0.05
HOLD_SECONDS: Final = 3.0
"""How long the tables' checkpoints are held still, at the most, in one try."""
TRIES: Final = 20
RECORDS: Final = 8_000
"""In one batch: nobody waits for a rebuild's newest row."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a rebuild asks of the world."""

    office: Office
    store: Rebuilding
    extent: Extent
    readers: Callable[[Sequence[Place]], AbstractAsyncContextManager[Reader]]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to."""

    records: int
    completed: Completed
    comparison: Comparison
    replaced: bool


class Again:
    """A projection under a rebuild's name, which tells nothing on."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.name = PREFIX + projection.name
        self.places = projection.places

    def fold(self, fetched: Mapping[Place, Sequence[Read]]) -> Folded:
        """Rows alone: the facts have been told by the projector."""
        return replace(self._projection.fold(fetched), facts=[])


class Nobody:
    """A log for projections that tell nothing on."""

    async def append(
        self,
        records: Sequence[Append],
        timeout: float | None = None,
    ) -> list[int | LogFailure]:
        """Refuse: a rebuild appends nothing."""
        raise AssertionError(f"a rebuild appended {len(records)} records (time-out {timeout})")


class Rebuild:
    """One rebuild; `done` of `total` records are folded."""

    def __init__(self, projections: Sequence[Projection], means: Means) -> None:
        self._projections = [Again(one) for one in projections]
        self._means = means
        self._journal: dict[Place, Start] = {}
        self.stage = "beginning"
        self.total = 0
        self.done = 0

    async def run(self, *, although_different: bool = False) -> Rebuilt:
        """Rebuild, and take the tables' place unless they differ, or although they do.

        Raises `ConfigurationError` when another rebuild is under way.
        """
        if not await self._means.office.held():
            raise ConfigurationError("another rebuild is under way: let it end, or stop it")
        store = self._means.store
        try:
            second, starts, ends = await self._begin()
            await self._fold(second, ends)
            self.stage = "comparing"
            completed = await store.complete(starts, ended_before(self._means.clock.now()))
            comparison = await store.compare(SHOWN)
            replaced = False
            if although_different or not comparison.different:
                self.stage = "replacing"
                await self._replace(second)
                replaced = True
            return Rebuilt(self.total, completed, comparison, replaced)
        finally:
            # Also when cancelled: what is left behind would hold the janitor back.
            with suppress(Fault):
                await asyncio.shield(store.abandon())
            self._means.office.leave()

    async def _begin(
        self,
    ) -> tuple[Projections, dict[Place, Start], dict[str, dict[Place, int]]]:
        """The second set, where the log begins, and where it ends now."""
        for _ in range(TRIES):
            second = await self._means.store.prepare()
            bounds = await self._bounds()
            for projection in self._projections:
                first = {place: bounds[place][0] for place in projection.places}
                await second.begin(projection.name, first)
            # Looked at again, since a janitor may have cut before it saw our checkpoints.
            again = await self._bounds()
            if all(again[place][0] == start for place, (start, _) in bounds.items()):
                break
        else:
            raise Unavailable("the log is being cut all the time; begin again later")
        self.total = sum(end - start for start, end in again.values())
        ends = {
            projection.name: {place: again[place][1] for place in projection.places}
            for projection in self._projections
        }
        return second, await self._starts(again), ends

    async def _bounds(self) -> Mapping[Place, tuple[int, int]]:
        places = [place for projection in self._projections for place in projection.places]
        return await self._means.extent.bounds(places)

    async def _starts(self, bounds: Mapping[Place, tuple[int, int]]) -> dict[Place, Start]:
        cut = {place: start for place, (start, _) in bounds.items() if start > 0}
        at = await self._means.extent.appended_at(cut)
        return {
            place: Start(start, at.get(place, LAST_SECOND - 1) if start > 0 else 0)
            for place, (start, _) in bounds.items()
        }

    async def _fold(self, second: Projections, ends: Mapping[str, Mapping[Place, int]]) -> None:
        self.stage = "folding"
        async with self._projecting(second) as projectors:
            while not await self._passed(second, ends):
                self.done = sum(one.projected for one in projectors)
                await self._means.clock.sleep(LOOK_SECONDS)
        self.done = self.total

    async def _replace(self, second: Projections) -> None:
        for _ in range(TRIES):
            async with AsyncExitStack() as held:
                await held.enter_async_context(self._projecting(second))

                async def passed(
                    standing: Mapping[str, Mapping[Place, int]], held: AsyncExitStack = held
                ) -> bool:
                    wanted = {PREFIX + name: places for name, places in standing.items()}
                    until = self._means.clock.monotonic() + HOLD_SECONDS
                    while not await self._passed(second, wanted):
                        if self._means.clock.monotonic() > until:
                            return False
                        await self._means.clock.sleep(LOOK_SECONDS)
                    await held.aclose()
                    return True

                if await self._means.store.replace(passed):
                    return
        raise Unavailable("the projectors are faster than the rebuild; begin again when they rest")

    async def _passed(self, second: Projections, wanted: Mapping[str, Mapping[Place, int]]) -> bool:
        """Whether the second set has read as far as that, wherever it reads."""
        for projection in self._projections:
            places = wanted.get(projection.name, {})
            read = await second.begin(projection.name, places)
            if any(read[place] < offset for place, offset in places.items()):
                return False
        return True

    @asynccontextmanager
    async def _projecting(self, second: Projections) -> AsyncIterator[list[Projector]]:
        """The second set follows the log until the block ends."""
        projectors = [
            Projector(
                projection,
                readers=self._means.readers,
                log=Nobody(),
                store=second,
                clock=self._means.clock,
                records=RECORDS,
            )
            for projection in self._projections
        ]
        async with AsyncExitStack() as held:
            for projector in projectors:
                await held.enter_async_context(projector)
            yield projectors
