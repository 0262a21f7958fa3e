"""What is one worker's process in memory?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from processor.adapters.event_kinds import EventKinds
from processor.adapters.memory.cancelling import MemoryWakes
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.membership import MemoryMembership
from processor.adapters.memory.ownership import MemoryOwnership
from processor.adapters.memory.shared_transactions import MemorySharedTransactions
from processor.adapters.memory.step import onward
from processor.adapters.memory.suspects import MemorySuspects
from processor.adapters.memory.transactions import MemoryTransactions
from processor.adapters.memory.waiting_room import MemoryWaitingRoom
from processor.adapters.memory.workers import MemoryWorkers
from processor.domain.priority import LANES, Priority
from processor.ports.log import Place
from processor.runtime.worker import WorkerRuntime
from processor.runtime.world import World
from processor.testing.naming import TIMELINE, TOPICS
from processor.testing.process import Process, own_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.runtime.handlers import Jobs
    from processor.testing.cluster import MemoryCluster
    from processor.testing.process import Hook


def this_process() -> Member:
    """The worker in whose process this is called: for a handler that kills it."""
    process = own_process()
    assert isinstance(process, Member)
    return process


class Member(Process):
    """One worker's process: its adapters, and what they hold when it dies."""

    def __init__(
        self, cluster: MemoryCluster, name: str, hook: Hook, jobs: Jobs, release: str
    ) -> None:
        super().__init__(name, hook)
        self.cluster = cluster
        self.stop = asyncio.Event()
        self.timeline = TIMELINE
        self.replaced: list[Callable[[], None]] = []
        """Who is to be called when the database is another one."""
        clock, database, step = cluster.clock, cluster.database, self.passes
        self.id = cluster.an_id()
        self.log = MemoryLog(cluster.topics, step=step, record_bytes=cluster.record_bytes)
        self.membership = MemoryMembership(cluster.group, name, clock, step=step)
        self.transactions = MemoryTransactions(database, step=step, lend=cluster.lend)
        self.shared_transactions = MemorySharedTransactions(database, step=step)
        world = World(
            clock=clock,
            codec=cluster.codec,
            log=self.log,
            readers=[
                MemoryReader(cluster.topics, self._places(lane), clock, step=step) for lane in LANES
            ],
            membership=self.membership,
            ownership=MemoryOwnership(database, step=step),
            workers=MemoryWorkers(database, step=step),
            suspects=MemorySuspects(database, step=step),
            ledger=MemoryLedger(database, step=step),
            room=MemoryWaitingRoom(database, step=step),
            holds=MemoryHolds(database, step=step),
            wakes=MemoryWakes(database, step=step),
            transactions=self.transactions,
            shared_transactions=self.shared_transactions,
            events=EventKinds(TOPICS, cluster.partitions, cluster.codec),
            timeline=lambda: self.timeline,
            on_replaced=self.replaced.append,
            metrics=cluster.metrics(name),
            tracing=cluster.tracing,
        )
        groups = cluster.manner.groups if cluster.lend is None else 0
        manner = replace(cluster.manner, worker=self.id, release=release, groups=groups)
        self.runtime = WorkerRuntime(jobs, world, manner)

    def start(self) -> None:
        """Begin to work."""
        self.begin(self._work())

    async def stopped(self) -> None:
        """Stop it as a signal would, and wait until it is out."""
        self.stop.set()
        await self.ended()

    def kill(self) -> None:
        """Kill -9: no call of it has an effect from now on, and its connections break."""
        self.dead = True
        self.transactions.die()
        self.shared_transactions.die()
        self.cluster.group.expel(self.membership)
        super().kill()

    def owned(self) -> set[int]:
        """The partitions that it holds."""
        return set(self.runtime.keeper.owned)

    async def _work(self) -> None:
        async with self.membership:
            await self.runtime.run(self.stop)

    def _places(self, lane: Priority) -> list[Place]:
        return [Place(TOPICS.lane(lane), number) for number in range(self.cluster.partitions)]


class Gate:
    """Lets the calls of one name wait until it is opened; tells that one has come."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, name: str) -> BaseException | None:
        """See `processor.adapters.memory.step.Step`."""
        if name in self.names:
            self.reached.set()
            await self.open.wait()
        return await onward(name)
