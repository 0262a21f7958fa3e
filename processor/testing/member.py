"""What is one worker's process in memory: its adapters, what it started, and its death?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from processor.runtime.handlers import Jobs
    from processor.testing.cluster import MemoryCluster

Hook = Callable[[str], Awaitable[BaseException | None]]
_PROCESS: ContextVar[Member | None] = ContextVar("process", default=None)


def this_process() -> Member:
    """The worker in whose process this is called: for a handler that kills it."""
    member = _PROCESS.get()
    assert member is not None
    return member


class Died(BaseException):
    """The process is gone: nothing that it calls has an effect any more."""


class Member:
    """One worker's process: its adapters, its tasks, and its death."""

    def __init__(
        self, cluster: MemoryCluster, name: str, hook: Hook, jobs: Jobs, release: str
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.hook = hook
        self.dead = False
        self.calls: list[str] = []
        """The names of the port calls so far."""
        self.stop = asyncio.Event()
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.running: asyncio.Task[None] | None = None
        self.timeline = TIMELINE
        self.replaced: list[Callable[[], None]] = []
        """Who is to be called when the database is another one."""
        clock, database, step = cluster.clock, cluster.database, self._step
        self.id = cluster.an_id()
        self.log = MemoryLog(cluster.topics, step=step)
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
        """Begin to work; its tasks are known by their context."""
        context = Context()
        context.run(_PROCESS.set, self)
        self.running = asyncio.get_running_loop().create_task(self._live(), context=context)

    async def stopped(self) -> None:
        """Stop it as a signal would, and wait until it is out."""
        self.stop.set()
        await self.ended()

    async def ended(self) -> None:
        """Wait until it is out, within two minutes of the world's; raises what it ended with."""
        assert self.running is not None
        await asyncio.wait((self.running,), timeout=120)
        assert self.running.done(), "the worker does not end"
        self.running.result()

    def kill(self) -> None:
        """Kill -9: no call of it has an effect from now on, and its connections break."""
        self.dead = True
        self.transactions.die()
        self.shared_transactions.die()
        self.cluster.group.expel(self.membership)
        for task in list(self.tasks):
            task.cancel()

    def die_in_a_call(self) -> Died:
        """Die within a port call; raised by a hook before the effect, returned by it after."""
        self.dead = True
        asyncio.get_running_loop().call_soon(self.kill)
        return Died(self.name)

    def owned(self) -> set[int]:
        """The partitions that it holds."""
        return set(self.runtime.keeper.owned)

    async def _live(self) -> None:
        try:
            async with self.membership:
                await self.runtime.run(self.stop)
        except BaseException:
            if not self.dead:
                raise

    async def passes(self, name: str) -> BaseException | None:
        """A call that is no port's own, for what handlers write through."""
        return await self._step(name)

    async def _step(self, name: str) -> BaseException | None:
        self._live_or_die()
        self.calls.append(name)
        lost = await self.hook(name)
        if isinstance(lost, Died):
            return lost
        self._live_or_die()
        return lost

    def _live_or_die(self) -> None:
        if self.dead:
            raise Died(self.name)

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


def task_of_a_process(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    """Make a task that belongs to the process which starts it, and dies with it."""
    task = asyncio.Task(coroutine, loop=loop, context=context)
    member = _PROCESS.get() if context is None else context.get(_PROCESS)
    if member is not None:
        member.tasks[task] = None
        task.add_done_callback(lambda ended: member.tasks.pop(ended, None))
        if member.dead:
            task.cancel()
    return task
