"""What goes wrong with processes, broker and database in a simulated run?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from processor.testing.simulation.forgetting import JanitorProcess
from processor.testing.simulation.plan import Act, Role
from processor.testing.simulation.projecting import ProjectorProcess, unprojected
from processor.testing.simulation.weather import Sky, Weather

if TYPE_CHECKING:
    from processor.adapters.memory.projection import MemoryProjections
    from processor.ports.operations import Operation
    from processor.testing.member import Member
    from processor.testing.operated import OperatedCluster
    from processor.testing.process import Died, Process
    from processor.testing.simulation.plan import Step

SNAPSHOT_EVERY: Final = 0.2
SNAPSHOTS: Final = 30
FORGOTTEN: Final = ("ledger", "waiting", "owners", "workers", "suspects", "ended_at", "values",
                    "holds", "plans", "news", "releases")  # fmt: skip
"""What of a database goes back to an earlier time, beside its projections."""


class _Snapshot(NamedTuple):
    at: float
    tables: dict[str, dict[Any, Any]]
    operations: list[Operation]
    projections: MemoryProjections


class Disturbing:
    """Starts processes and lets them meet what the plan says."""

    def __init__(self, cluster: OperatedCluster, seed: int) -> None:
        self._cluster = cluster
        self._sky = Sky(cluster.clock, seed)
        self._weather: dict[Process, Weather] = {}
        self._projectors: list[ProjectorProcess] = []
        self.clients = Weather(self._sky, _nobody_dies)
        """What the calls of those meet who submit and operate."""
        self._beside: set[asyncio.Future[None]] = set()
        self._snapshots: deque[_Snapshot] = deque(maxlen=SNAPSHOTS)
        self.failed_over = False

    @property
    def calls(self) -> str:
        """A digest over every call of a port so far."""
        return self._sky.calls.hexdigest()

    def on_commit(self, look: Callable[[], None]) -> None:
        """Have somebody look whenever a job's transaction is about to commit."""
        self._sky.on_commit = look

    def workers(self) -> list[Member]:
        """Those that live and were not told to stop."""
        members = self._cluster.members
        return [one for one in members if not one.dead and not one.stop.is_set()]

    def projectors(self) -> list[ProjectorProcess]:
        """The same of projectors."""
        return [one for one in self._projectors if not one.dead and not one.stops]

    def start(self, role: Role = Role.WORKER) -> None:
        """Another process."""
        begun: list[Process] = []
        weather = Weather(self._sky, lambda: begun[0].die_in_a_call())  # noqa: PLW0108 - not yet
        if role is Role.WORKER:
            member = self._cluster.member(weather)
            member.timeline = self._cluster.timeline
            begun.append(member)
        else:
            name = f"projector-{len(self._projectors)}"
            self._projectors.append(ProjectorProcess(self._cluster, name, weather))
            begun.append(self._projectors[-1])
        self._weather[begun[0]] = weather
        begun[0].start()

    def start_janitor(self, days: float) -> JanitorProcess:
        """Another process, that forgets; to it a second is so many days."""
        janitor = JanitorProcess(self._cluster, Weather(self._sky, _nobody_dies), days)
        janitor.start()
        return janitor

    def replace(self, *roles: Role) -> None:
        """See to it that somebody works, and somebody projects."""
        for role in roles:
            if not (self.workers() if role is Role.WORKER else self.projectors()):
                self.start(role)

    async def stop(self) -> None:
        """Stop everybody who lives: those who write the log first."""
        for member in self.workers():
            await member.stopped()
        while unprojected(self._cluster):
            self.replace(Role.PROJECTOR)
            await self._cluster.clock.sleep(1.0)
        for projector in self.projectors():
            projector.stop()
            await projector.ended()

    async def remember(self) -> None:
        """Keep what a standby that lags would have, until cancelled."""
        clock, database = self._cluster.clock, self._cluster.database
        while True:
            tables = {name: dict(getattr(database, name)) for name in FORGOTTEN}
            projections = self._cluster.projections.copied()
            operations = list(database.operations)
            self._snapshots.append(_Snapshot(clock.monotonic(), tables, operations, projections))
            await clock.sleep(SNAPSHOT_EVERY)

    def act(self, step: Step) -> None:
        """Do what a step says."""
        clock = self._cluster.clock
        match step.act:
            case Act.START:
                self.start(step.role)
            case Act.DATABASE_AWAY:
                self._sky.database_back = clock.monotonic() + step.seconds
            case Act.BROKER_AWAY:
                self._sky.broker_back = clock.monotonic() + step.seconds
            case Act.FAILOVER:
                self._fail_over(step.seconds)
            case _:
                self._to_one(step)

    def _to_one(self, step: Step) -> None:
        match step.role:
            case Role.CLIENT:
                self.clients.turn(step)
            case Role.PROJECTOR:
                projectors = self.projectors()
                if projectors:
                    self._to_projector(projectors[step.whom % len(projectors)], step)
            case Role.WORKER:
                workers = self.workers()
                if workers:
                    self._to_worker(workers[step.whom % len(workers)], step)

    def _to_projector(self, projector: ProjectorProcess, step: Step) -> None:
        match step.act:
            case Act.KILL:
                projector.kill()
            case Act.STOP:
                projector.stop()
            case Act.FREEZE:
                self._freeze(projector, step, lambda: self._cluster.clock.sleep(step.seconds))
            case _:
                self._weather[projector].turn(step)

    def _to_worker(self, member: Member, step: Step) -> None:
        match step.act:
            case Act.KILL:
                member.kill()
            case Act.STOP:
                member.stop.set()
            case Act.FREEZE:
                self._freeze(member, step, lambda: self._cut(member, step.seconds))
            case Act.CUT:
                self._go(self._cut(member, step.seconds))
            case Act.REJOIN:
                self._cluster.group.expel(member.membership)
                self._cluster.group.enter(member.membership)
            case _:
                self._weather[member].turn(step)

    def _freeze(
        self, process: Process, step: Step, meanwhile: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        def freeze() -> None:
            self._weather[process].thawed.clear()
            self._go(self._stand_still(process, meanwhile()))

        if step.call:
            self._weather[process].freeze_at(step.call, freeze)
        else:
            freeze()

    async def _stand_still(self, process: Process, meanwhile: Coroutine[Any, Any, None]) -> None:
        """SIGSTOP, and SIGCONT later: none of its calls goes on meanwhile."""
        thawed = self._weather[process].thawed
        await meanwhile
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
        earlier = [one for one in self._snapshots if one.at <= then]
        if not earlier:
            return
        cluster.timeline = self._sky.timeline = cluster.timeline + 1
        for member in cluster.members:
            member.transactions.die()
            member.shared_transactions.die()
            member.timeline = cluster.timeline
            for tell in member.replaced:
                tell()
        for name, kept in earlier[-1].tables.items():
            live = getattr(cluster.database, name)
            live.clear()
            live.update(kept)
        cluster.database.operations[:] = earlier[-1].operations
        cluster.projections.go_back(earlier[-1].projections)
        cluster.database.locks.clear()
        self._snapshots.clear()
        self.failed_over = True

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> None:
        future = asyncio.ensure_future(coroutine)
        self._beside.add(future)
        future.add_done_callback(self._beside.discard)


def _nobody_dies() -> Died:
    raise NotImplementedError
