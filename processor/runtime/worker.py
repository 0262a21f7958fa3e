"""What is a worker made of, and in which order does it stop?

Membership says what is wanted, the keeper takes over and lets go, four fetchers fill the
mailboxes, the dispatcher starts attempts, flusher and recorder make their ends durable, the
publisher tells the journal, and positions follow. It stops in the order of that flow, each step
within the drain time.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from processor.domain.errors import Unavailable
from processor.ports.ledger import Fault
from processor.ports.log import LogCut
from processor.runtime.admission import Admission
from processor.runtime.afresh import Afresh
from processor.runtime.announcing import Announcer
from processor.runtime.attempt import Attempts
from processor.runtime.backlog import watch
from processor.runtime.beating import Heart
from processor.runtime.books import Books
from processor.runtime.breaking import Breakers
from processor.runtime.calling import Caller
from processor.runtime.collaborators import Collaborators
from processor.runtime.dispatcher import Dispatcher
from processor.runtime.examining import Examiner
from processor.runtime.flusher import Flusher
from processor.runtime.gathering import gathering
from processor.runtime.group_attempts import GroupAttempts
from processor.runtime.handler_threads import HandlerThreads
from processor.runtime.health import Health
from processor.runtime.holding import Holding
from processor.runtime.intake import Intake
from processor.runtime.keeping import Holdings, Keeper
from processor.runtime.loop_lag import LoopLag
from processor.runtime.memory import Memory
from processor.runtime.observing import Observer
from processor.runtime.outcomes import Outcomes
from processor.runtime.publisher import Publisher
from processor.runtime.queueing import Queueing
from processor.runtime.reading import lane_fetchers
from processor.runtime.recording import Recorder
from processor.runtime.replaying import Replaying
from processor.runtime.returning import Returning
from processor.runtime.row_decoding import RowDecoder
from processor.runtime.run import Desk, Identity
from processor.runtime.settling import Settling
from processor.runtime.sharing import Sharing
from processor.runtime.starting import Starting
from processor.runtime.suspects import Warden
from processor.runtime.time_out import Patience
from processor.runtime.waking import Waking

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from processor.domain.priority import Priority
    from processor.runtime.delivery import Delivery
    from processor.runtime.fetching import LaneFetcher
    from processor.runtime.handlers import Jobs
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.world import Manner, World

log = structlog.get_logger(__name__)


class WorkerRuntime:
    """One worker, over whatever adapters it is given."""

    def __init__(self, jobs: Jobs, world: World, manner: Manner) -> None:
        self._jobs = jobs
        self._world = world
        self._manner = manner
        self._threads = HandlerThreads(manner.slots)
        self._lag = LoopLag(world.clock, manner.times.lag)
        self._patience = Patience(self._lag.stood_still, manner.times.grace)
        memory = self._memory = Memory()
        admission = Admission(memory, world.clock)
        self._warden = Warden(manner.worker, world.suspects, world.clock, admission, self._doubt)
        sharing = Sharing(world.clock)
        self.dispatcher = Dispatcher(
            memory.mailboxes,
            manner.slots,
            self._attempt,
            lambda: self.health.may_dispatch(),  # noqa: PLW0108 - it is made of what comes later
            self._is_lane_held,
            admission,
            gathering(jobs, sharing, manner, lambda group: self._group_attempts.run(group)),  # noqa: PLW0108 - the same
        )
        wake = self.dispatcher.wake
        self._publisher = Publisher(
            world.log,
            world.codec,
            world.clock,
            world.events,
            world.room,
            manner.topics,
            manner.partitions,
            self._look_again,
        )
        self._observer = Observer(manner.topics, world.clock, world.metrics, world.tracing)
        self._holding = Holding(world, manner, self._owned, self._look_again)
        self._breakers = Breakers(jobs, world, manner, self._holding, self._owned)
        settling = Settling(
            memory, self._publisher, wake, self._observer, self._look_again, self._breakers
        )
        books = self._books = Books(world.ledger, world.room, world.clock)
        self._flusher = Flusher(books, settling, self._doubt, self.dispatcher.has_more)
        self._queueing = Queueing(books, memory, settling, self._doubt)
        self._replaying = Replaying(books, memory, settling, self._doubt)
        self._recorder = Recorder(books, self._queueing, settling, self._doubt)
        afresh = Afresh(world.room, lambda: self._jobs, self._holding.kept)
        self._returning = Returning(
            world.room,
            world.ledger,
            world.clock,
            memory,
            settling,
            self._owned,
            RowDecoder(world.codec),
            afresh,
        )
        self._waking = Waking(
            world.wakes,
            books,
            memory,
            self.dispatcher,
            settling,
            self._returning.look_soon,
        )
        self._attempts = self._make_attempts(settling, afresh)
        self._starting = Starting(self._attempts)
        self._group_attempts = GroupAttempts(
            world.shared_transactions, self._attempts, sharing, self._patience, self.dispatcher
        )
        self._fetchers = self._make_fetchers(settling)
        holdings = Holdings(
            memory, self._returning, self._fetchers, self.dispatcher, self._publisher
        )
        self.keeper = Keeper(
            manner.worker, world.membership, world.ownership, world.clock, holdings, manner.times
        )
        self.health = Health(world, manner, self.keeper, holdings, self._holding, self._lag)
        world.on_replaced(self.keeper.doubt_everything)
        self._heart = Heart(
            manner.worker,
            manner.release,
            world.workers,
            self.keeper.pulses,
            world.clock,
            manner.times.beat,
        )

    @property
    def name(self) -> str:
        """How histories and logs call this worker: host, process, and the start of its id."""
        return f"{socket.gethostname()}/{os.getpid()}/{str(self._manner.worker)[:8]}"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain; raises what makes working on impossible."""
        world, manner = self._world, self._manner
        await self._heart.join(stop, self._jobs)
        log.info("a worker starts", worker=self.name, types=sorted(self._jobs))
        try:
            async with (
                self.health.watched(by_a_thread=manner.witness),
                asyncio.TaskGroup() as group,
            ):
                services = [group.create_task(service) for service in self._services()]
                fetching = [group.create_task(fetcher.run()) for fetcher in self._fetchers]
                await stop.wait()
                await self._drain()
                # A fetch under way must not be cancelled; it ends by itself.
                await asyncio.wait(fetching, timeout=manner.times.grace)
                for service in (*services, *fetching):
                    service.cancel()
        except BaseExceptionGroup as failed:
            if failed.split((Unavailable, LogCut))[1] is None:  # no job's doing: nobody is suspect
                await self._heart.leave()
            raise
        finally:
            await self._end_attempts()
            self._threads.shutdown()
        with suppress(Fault):
            await world.workers.part(manner.worker)
        log.info("a worker has stopped", worker=self.name)

    def _services(self) -> list[Coroutine[None, None, None]]:
        world = self._world
        announcer = Announcer(
            self.dispatcher,
            self._recorder,
            world.log,
            world.codec,
            world.clock,
            self._manner.topics,
        )
        return [
            self._heart.run(lambda: self._jobs, self.keeper.doubt_everything),
            self.keeper.run(),
            self.keeper.write_positions(),
            self._flusher.run(),
            self._publisher.run(),
            self._queueing.run(),
            self._replaying.run(),
            self._returning.by_time(),
            self._returning.by_turn(),
            self._holding.run(),
            *self._breakers.services(),
            self._waking.listen(),
            self._waking.run(),
            announcer.run(),
            self._observer.run(),
            self._warden.run(self._owned),
            *self.health.services(),
            watch(world, self._manner.topics, self._owned, self._memory.reserved.values),
            *(chore() for chore in world.chores),
        ]

    async def _drain(self) -> None:
        log.info("a worker drains", worker=self.name, running=len([*self.dispatcher.attempts()]))
        await self._heart.leave()
        self.dispatcher.stop()
        for fetcher in self._fetchers:
            fetcher.stop()
        await self.keeper.let_everything_go()

    async def _end_attempts(self) -> None:
        """End what still runs: after a drain nothing, after a failure of the worker everything."""
        self.keeper.give_up()
        self.dispatcher.stop()
        self.dispatcher.cancel()
        await self.dispatcher.idle(self._manner.times.grace)
        self.dispatcher.forsake()

    def _attempt(self, delivery: Delivery) -> Coroutine[Any, Any, None] | None:
        if delivery.partition.quarantine is None:
            return self._starting.start(delivery)
        return self._warden.attempt(self._attempts, delivery)

    def _is_lane_held(self, lane: Priority) -> bool:
        return self._holding.is_lane_held(lane)

    def _doubt(self, partition: object, why: str) -> None:
        for owned in list(self.keeper.owned.values()):
            if owned is partition:
                self.keeper.doubt(owned, why)

    def _look_again(self) -> None:
        for fetcher in self._fetchers:
            fetcher.look_again()
        self.dispatcher.wake()

    def _owned(self) -> dict[int, OwnedPartition]:
        return self.keeper.owned

    def _make_attempts(self, settling: Settling, afresh: Afresh) -> Attempts:
        world = self._world
        return Attempts(
            Identity(self.name, self._manner.release),
            Collaborators(
                self._jobs,
                Outcomes(world.codec, world.timeline, self._manner.outcome_bytes),
                Desk(world.codec, world.clock, world.transactions),
                world.clock,
                Caller(self._threads, self._observer, self._patience),
                self._flusher,
                self._recorder,
                settling,
                self._breakers,
                self._observer,
                self._manner.grace,
                self._doubt,
                afresh.take,
                self.dispatcher.go_on_without,
            ),
        )

    def _make_fetchers(self, settling: Settling) -> list[LaneFetcher]:
        world, manner = self._world, self._manner
        intake = Intake(
            self._memory,
            self._queueing,
            self._replaying,
            settling,
            self._books,
            self.dispatcher.wake,
            manner.look_ahead.jobs,
            manner.slots,
        )
        examiner = Examiner(intake, self._warden, manner.worker, self.dispatcher.wake)
        return lane_fetchers(world, manner, examiner, self._is_lane_held)
