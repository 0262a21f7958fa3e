"""Which partitions does this worker own, and how does it take over and let go?

The group says who should own a partition; the ownership row says who does. Letting go: nothing new
is dispatched; once nothing of the partition runs or is unflushed or unrecorded, one UPDATE writes
its last positions and lets go (H28). What is being let go is let go to the end (H27).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from processor.domain.errors import Unavailable
from processor.domain.pulse import Pulses
from processor.ports.ledger import Fault
from processor.runtime.taking import Taker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.ports.clock import Clock
    from processor.ports.membership import Membership
    from processor.ports.ownership import Ownership
    from processor.runtime.dispatcher import Dispatcher
    from processor.runtime.fetching import LaneFetcher
    from processor.runtime.memory import Memory
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.publisher import Publisher
    from processor.runtime.returning import Returning

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Times:
    """How long things may take, in seconds."""

    session: float = 45.0
    """The group's session time-out; a worker dispatches while a heartbeat is half as old."""
    drain: float = 30.0
    """How long handlers of a partition that is let go may still run."""
    grace: float = 5.0
    """How long what was cancelled then may take to end before a stop leaves it behind."""
    lag: float = 1.0
    """How long the event loop may stand still before that is said and granted to handlers."""
    beat: float = 1.0
    write: float = 0.25
    look: float = 0.1


@dataclass(frozen=True, slots=True)
class Holdings:
    """What taking over and letting go touch."""

    memory: Memory
    returning: Returning
    fetchers: Sequence[LaneFetcher]
    dispatcher: Dispatcher
    publisher: Publisher
    owned: dict[int, OwnedPartition] = field(default_factory=dict)


class Keeper:
    """Takes partitions over, writes their positions, and lets them go."""

    def __init__(
        self,
        worker: UUID,
        membership: Membership,
        ownership: Ownership,
        clock: Clock,
        holdings: Holdings,
        times: Times,
    ) -> None:
        self._membership = membership
        self._ownership = ownership
        self._clock = clock
        self._holds = holdings
        self._times = times
        self._era = 0
        """Counts how often the database turned out to be another one."""
        self.pulses = Pulses()
        self._taker = Taker(
            worker,
            ownership,
            clock,
            holdings.fetchers,
            self.pulses,
            times.drain,
            self.may_dispatch,
        )
        self._wanted_since: dict[int, float] = {}
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._lost: list[OwnedPartition] = []
        self._writing = asyncio.Lock()
        self._stopping = False
        self._unheard = False
        """Since it last saw whose its partitions are, it has been silent for long enough."""
        self._looked_at = self.turned_at = clock.monotonic()
        """When it last looked at what the group wants."""

    @property
    def owned(self) -> dict[int, OwnedPartition]:
        """The partitions held now, those being let go included."""
        return self._holds.owned

    def may_dispatch(self) -> bool:
        """Whether the coordinator answered recently enough that no other worker can have us."""
        return self._membership.heartbeat_age() <= self._times.session / 2

    def doubt(self, partition: OwnedPartition, why: str) -> None:
        """Something proves or suggests another owner: drop the partition and take it over anew."""
        if not partition.lost:
            log.warning("dropping a partition", partition=partition.number, because=why)
            self._drop(partition)

    def doubt_everything(self) -> None:
        """The database is another one: commits may be gone that somebody has seen (H1)."""
        self._era += 1
        for partition in list(self.owned.values()):
            self.doubt(partition, "the database is another one than before")

    async def run(self) -> None:
        """Follow the group until cancelled; raises `LogCut` where a position is not in the log."""
        while True:
            self.turned_at = self._clock.monotonic()
            try:
                await self._reconcile()
            except (Fault, Unavailable) as fault:
                log.warning("ownership waits", because=str(fault))
                await self._clock.sleep(self._times.beat)
            await self._clock.sleep(self._times.look)

    async def write_positions(self) -> None:
        """Write positions until cancelled; a write that fails is harmless."""
        while True:
            await self._clock.sleep(self._times.write)
            try:
                await self._advance()
            except Fault as fault:
                log.warning("positions are not written yet", because=str(fault))
            self._holds.dispatcher.wake()

    async def let_everything_go(self) -> None:
        """Stop taking over and let every partition go, each within the drain time."""
        self._stopping = True
        for partition in list(self.owned.values()):
            self._let_go(partition)
        await asyncio.gather(*self._leaving.values())

    def give_up(self) -> None:
        """Let nothing go any more: the worker has ended, and others will see it dead."""
        for leaving in self._leaving.values():
            leaving.cancel()

    async def _reconcile(self) -> None:
        wanted = self._membership.assigned()
        for number, partition in list(self.owned.items()):
            if number not in wanted and partition.open:
                self._let_go(partition)
        await self._see_who_owns()
        self._lost = [partition for partition in self._lost if partition.out]
        ending = {partition.number for partition in self._lost}
        missing = wanted - self.owned.keys() - self._leaving.keys() - ending
        now = self._clock.monotonic()
        self._wanted_since = {p: self._wanted_since.get(p, now) for p in missing}
        if missing and not self._stopping and self.may_dispatch():
            await self._take_over()

    async def _see_who_owns(self) -> None:
        """Drop what others had while the group did not hear this worker, though it has it again.

        To the group nothing has changed then, and who writes nothing meets no other token (H8).
        """
        now, heard = self._clock.monotonic(), self.may_dispatch()
        self._unheard |= not heard or now - self._looked_at > self._times.session / 2
        self._looked_at = now
        if not heard or not self._unheard:
            return
        owners = await self._ownership.owners(self.owned.keys()) if self.owned else {}
        self._unheard = False
        for number, owner in owners.items():
            partition = self.owned.get(number)
            if partition is not None and owner.token != partition.fence.token:
                self.doubt(partition, "somebody else had it while the group did not hear this one")

    async def _take_over(self) -> None:
        era = self._era
        taken = await self._taker.take(self._wanted_since)
        if self._stopping or self._era != era:  # their positions are of a database that is gone
            return
        for partition in taken:
            self.owned[partition.number] = partition
            for fetcher in self._holds.fetchers:
                fetcher.take(partition)
            self._holds.returning.take(partition)

    async def _advance(self) -> None:
        async with self._writing:
            partitions = {p.number: p for p in self.owned.values() if not p.lost}
            moves = [move for p in partitions.values() if (move := p.move()) is not None]
            if not moves:
                return
            held = await self._ownership.advance(moves)
            for move in moves:
                partition = partitions[move.fence.partition]
                if move.fence.partition in held:
                    partition.written = move.after
                else:
                    self.doubt(partition, "its row is not as this worker wrote it")

    def _let_go(self, partition: OwnedPartition) -> None:
        if partition.number in self._leaving or not partition.open:
            return
        partition.leaving = True
        self._forget_waiting(partition)
        leaving = asyncio.ensure_future(self._leave(partition))
        self._leaving[partition.number] = leaving
        leaving.add_done_callback(lambda _: self._leaving.pop(partition.number, None))

    async def _leave(self, partition: OwnedPartition) -> None:
        deadline = self._clock.monotonic() + self._times.drain
        await self._ended(partition, deadline)
        if not partition.lost:
            await self._published(deadline)
        if partition.lost:
            return
        held = False
        if not partition.out:
            held = await self._release(partition)
        partition.lost = True
        self.owned.pop(partition.number, None)
        log.info("let a partition go", partition=partition.number, held=held)

    async def _ended(self, partition: OwnedPartition, deadline: float) -> None:
        """Return when nothing of it is out: while a thread of it runs only a stop goes on (H27)."""
        cancelled = False
        while partition.out and not partition.lost:
            late = self._clock.monotonic() - deadline
            if late >= 0 and not cancelled:
                self._holds.dispatcher.cancel(partition)
                cancelled = True
            if late >= self._times.grace and self._stopping:
                log.error("jobs still run and are left behind", partition=partition.number)
                return
            await self._clock.sleep(self._times.look / 5)

    async def _release(self, partition: OwnedPartition) -> bool:
        async with self._writing:
            if partition.lost:
                return False
            try:
                return await self._ownership.release(partition.final_move())
            except Fault as fault:
                log.warning("could not let go; the next owner waits", because=str(fault))
                return False

    async def _published(self, deadline: float) -> None:
        """Give outcomes the time to be acknowledged, so that the next owner has less to repeat."""
        waiting = asyncio.ensure_future(self._holds.publisher.drained())
        while not waiting.done() and self._clock.monotonic() < deadline:
            await self._clock.sleep(self._times.look / 5)
        waiting.cancel()

    def _drop(self, partition: OwnedPartition) -> None:
        partition.lost = True
        self._forget_waiting(partition)
        self._holds.dispatcher.cancel(partition)
        if self.owned.get(partition.number) is partition:
            del self.owned[partition.number]
        if partition.out:
            self._lost.append(partition)

    def _forget_waiting(self, partition: OwnedPartition) -> None:
        for fetcher in self._holds.fetchers:
            fetcher.drop(partition)
        memory = self._holds.memory
        memory.lines.drop(partition)
        for delivery in memory.mailboxes.drop(lambda one: one.partition is partition):
            memory.forget(delivery)
