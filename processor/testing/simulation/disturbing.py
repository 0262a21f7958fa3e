"""What goes wrong with workers, broker and database in a simulated run?"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from processor.testing.simulation.plan import Act
from processor.testing.simulation.weather import Sky, Weather

if TYPE_CHECKING:
    from processor.testing.member import Member
    from processor.testing.operated import OperatedCluster
    from processor.testing.simulation.plan import Step

SNAPSHOT_EVERY: Final = 0.2
SNAPSHOTS: Final = 30
FORGOTTEN: Final = ("ledger", "waiting", "owners", "workers", "ended_at", "values", "holds",
                    "operations")  # fmt: skip
"""What of a database goes back to an earlier time."""


class Disturbing:
    """Starts workers and lets them meet what the plan says."""

    def __init__(self, cluster: OperatedCluster, seed: int) -> None:
        self._cluster = cluster
        self._sky = Sky(cluster.clock, seed)
        self._weather: dict[Member, Weather] = {}
        self._beside: set[asyncio.Future[None]] = set()
        self._snapshots: deque[tuple[float, dict[str, dict[Any, Any]]]] = deque(maxlen=SNAPSHOTS)
        self._sky.on_commit = self._look_for_two_at_once
        self.failed_over = False
        self.seen: list[str] = []
        """What was wrong when somebody committed."""

    @property
    def calls(self) -> str:
        """A digest over every call of a port so far."""
        return self._sky.calls.hexdigest()

    def alive(self) -> list[Member]:
        """The workers that live and were not told to stop."""
        members = self._cluster.members
        return [one for one in members if not one.dead and not one.stop.is_set()]

    def start(self) -> None:
        """Another worker."""
        members: list[Member] = []
        weather = Weather(self._sky, lambda: members[0].die_in_a_call())  # noqa: PLW0108 - not yet
        members.append(self._cluster.member(weather))
        members[0].timeline = self._cluster.timeline
        self._weather[members[0]] = weather
        members[0].start()

    async def remember(self) -> None:
        """Keep what a standby that lags would have, until cancelled."""
        clock, database = self._cluster.clock, self._cluster.database
        while True:
            kept = {name: dict(getattr(database, name)) for name in FORGOTTEN}
            self._snapshots.append((clock.monotonic(), kept))
            await clock.sleep(SNAPSHOT_EVERY)

    def act(self, step: Step) -> None:
        """Do what a step says."""
        clock = self._cluster.clock
        match step.act:
            case Act.START:
                self.start()
            case Act.DATABASE_AWAY:
                self._sky.database_back = clock.monotonic() + step.seconds
            case Act.BROKER_AWAY:
                self._sky.broker_back = clock.monotonic() + step.seconds
            case Act.FAILOVER:
                self._fail_over(step.seconds)
            case _:
                alive = self.alive()
                if alive:
                    self._to(alive[step.whom % len(alive)], step)

    def _to(self, member: Member, step: Step) -> None:
        match step.act:
            case Act.KILL:
                member.kill()
            case Act.STOP:
                member.stop.set()
            case Act.FREEZE:
                self._go(self._freeze(member, step.seconds))
            case Act.CUT:
                self._go(self._cut(member, step.seconds))
            case Act.REJOIN:
                self._cluster.group.expel(member.membership)
                self._cluster.group.enter(member.membership)
            case _:
                self._weather[member].turn(step)

    async def _freeze(self, member: Member, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later: none of its calls goes on meanwhile."""
        thawed = self._weather[member].thawed
        thawed.clear()
        await self._cut(member, seconds)
        thawed.set()

    async def _cut(self, member: Member, seconds: float) -> None:
        """The coordinator hears nothing of it, and expels it after the session time-out (H7)."""
        cluster, session = self._cluster, self._cluster.manner.times.session
        member.membership.cut()
        await cluster.clock.sleep(min(seconds, session))
        if seconds > session:
            cluster.group.expel(member.membership)
            await cluster.clock.sleep(seconds - session)
        if not member.dead and not member.stop.is_set():
            member.membership.heal()

    def _fail_over(self, seconds: float) -> None:
        """A standby that lags becomes the database: every connection is cut, a timeline begins."""
        cluster = self._cluster
        then = cluster.clock.monotonic() - seconds
        earlier = [kept for at, kept in self._snapshots if at <= then]
        if not earlier:
            return
        cluster.timeline = self._sky.timeline = cluster.timeline + 1
        for member in cluster.members:
            member.transactions.die()
            member.shared_transactions.die()
            member.timeline = cluster.timeline
            for tell in member.replaced:
                tell()
        for name, kept in earlier[-1].items():
            live = getattr(cluster.database, name)
            live.clear()
            live.update(kept)
        cluster.database.locks.clear()
        self._snapshots.clear()
        self.failed_over = True

    def _look_for_two_at_once(self) -> None:
        """One at a time: no two transactions of one entity are open, wherever their workers are."""
        entities = Counter(
            claim.entity_key
            for member in self._cluster.members
            for claim in (
                *(transaction.claim for transaction in member.transactions.open),
                *member.shared_transactions.claimed(),
            )
        )
        for entity, number in entities.items():
            if number > 1:
                self.seen.append(f"{number} transactions of entity {entity} are open at once")

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> None:
        future = asyncio.ensure_future(coroutine)
        self._beside.add(future)
        future.add_done_callback(self._beside.discard)
