"""Is a worker ready, and if not, why not?"""

from __future__ import annotations

import math
from collections import ChainMap
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from processor.runtime.loop_lag import Witness
from processor.runtime.standing import Standing
from processor.runtime.troubles import Readiness
from processor.runtime.watching import Watchdogs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from processor.runtime.holding import Holding
    from processor.runtime.keeping import Holdings, Keeper
    from processor.runtime.loop_lag import LoopLag
    from processor.runtime.world import Manner, World

STUCK_AFTER: Final = 30.0
"""Seconds without a turn of a fetcher or the keeper."""

SESSIONS_LOST: Final = 2
"""So many session time-outs without a heartbeat, and it does not come back by itself."""


class Health:
    """What is known of how a worker does."""

    def __init__(
        self,
        world: World,
        manner: Manner,
        keeper: Keeper,
        holdings: Holdings,
        holding: Holding,
        lag: LoopLag,
    ) -> None:
        self._clock = world.clock
        self._membership = world.membership
        self._metrics = world.metrics
        self._lost_after = SESSIONS_LOST * manner.times.session
        self._keeper = keeper
        self._holding = holding
        self._fetchers = holdings.fetchers
        self._troubles = lag.troubles
        self._lag = lag
        standing = Standing(world.clock, holdings, self.closed, holding.is_lane_held)
        self._watchdogs = Watchdogs(
            world.clock,
            manner.topics,
            holdings.fetchers,
            lambda: keeper.owned,
            standing,
            lag.troubles,
        )
        dispatcher = holdings.dispatcher
        self._witness = Witness(lag, ChainMap(dispatcher.running, dispatcher.gathering.turns))

    def services(self) -> list[Coroutine[None, None, None]]:
        """What watches, each until cancelled; their gauges are there from now on."""
        dogs = self._watchdogs
        self._metrics.watch_standstills(
            self._lag.longest, lambda: dogs.unread, lambda: dogs.idle, lambda: dogs.still
        )
        return [self._lag.run(), dogs.run()]

    @asynccontextmanager
    async def watched(self, *, by_a_thread: bool) -> AsyncIterator[None]:
        """While the block lasts a thread says, if wanted, who blocks the event loop."""
        with self._witness if by_a_thread else nullcontext():
            yield

    def progresses(self) -> bool:
        """Whether fetchers and keeper have come round lately: if not, others should take over."""
        since = self._clock.monotonic() - STUCK_AFTER
        turns = (self._keeper.turned_at, *(fetcher.turned_at for fetcher in self._fetchers))
        return all(turned_at >= since for turned_at in turns)

    def may_dispatch(self) -> bool:
        """Whether jobs may start."""
        return self._holding.known and self._keeper.may_dispatch()

    def closed(self) -> str | None:
        """Why no job may start now; None where they may."""
        if not self._holding.known:
            return "the holds are not known, nothing is started before they were read"
        if self._keeper.may_dispatch():
            return None
        age = self._membership.heartbeat_age()
        if age == math.inf:
            return "it does not belong to its group yet, so nothing is started"
        return f"its group has answered no heartbeat for {age:.0f} s, so nothing is started"

    def liveness(self) -> Readiness:
        """Whether its loop turns and its membership beats: if not, it is to be started anew.

        The database may be away: it comes back by no restart.
        """
        reasons: list[str] = []
        if late := self._lag.late():
            reasons.append(f"its event loop has stood still for {late:.0f} s")
        if not self.progresses():
            reasons.append(f"its reading has not come round for {STUCK_AFTER:.0f} s")
        age = self._membership.heartbeat_age()
        if self._lost_after < age < math.inf:
            reasons.append(f"its group has answered no heartbeat for {age:.0f} s")
        return Readiness(not reasons, tuple(reasons))

    def readiness(self) -> Readiness:
        """Whether it works as it should; cheap, from the loop's thread or any other."""
        reasons = [str(trouble) for trouble in self._troubles.now]
        if (closed := self.closed()) is not None:
            reasons.insert(0, closed)
        if late := self._lag.late():
            reasons.insert(0, f"its event loop has stood still for {late:.0f} s")
        if not self.progresses():
            reasons.append(f"its reading has not come round for {STUCK_AFTER:.0f} s")
        return Readiness(not reasons, tuple(reasons))
