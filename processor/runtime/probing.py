"""How is a type that its breaker holds tried again?

When a probe is due one job is let through: of all workers whoever gets the lease on the hold's row,
by a job that arrives just then or by one that is woken for it. If it completes the hold ends and
everything goes on; if not the next probe comes after a longer wait. The lease is renewed as long as
the job runs; a worker that dies with it only delays the next probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from processor.domain.breaker import Breaker, BreakerState, wait_after
from processor.ports.ledger import Fault
from processor.runtime.books import until_answered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from uuid import UUID

    from processor.domain.ids import JobId
    from processor.ports.holds import Hold
    from processor.runtime.delivery import Delivery
    from processor.runtime.holding import Holding
    from processor.runtime.world import World

LEASE = 15.0
"""Seconds that a probe's lease outlives its worker."""
RENEW_EVERY = 5.0
ASK_EVERY = 1.0

log = structlog.get_logger(__name__)


class Probe(NamedTuple):
    """A job that is let through a breaker's hold."""

    hold: Hold
    delivery: Delivery


class Probes:
    """The probes that run at this worker, at most one of a hold."""

    def __init__(
        self,
        world: World,
        worker: UUID,
        holding: Holding,
        owned: Callable[[], Collection[int]],
        changed: Callable[[str, BreakerState], None],
    ) -> None:
        """`changed`: told that this worker has closed the breaker of a type."""
        self._breaking = world.holds
        self._sweeping = world.room
        self._clock = world.clock
        self._worker = worker
        self._holding = holding
        self._owned = owned
        self._changed = changed
        self._running: dict[JobId, Probe] = {}
        self._asked: dict[int, float] = {}
        """When a lease was last asked for, by hold."""
        self._woken: dict[int, float] = {}
        """When a row was last woken to be a probe, by hold."""
        self._renewed = world.clock.monotonic()

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    def end(self, job: JobId) -> Probe | None:
        """The probe that a job was, which has ended."""
        return self._running.pop(job, None)

    async def lets(self, delivery: Delivery, hold: Hold) -> bool:
        """Whether a job may run although the hold stands: as the probe."""
        job = delivery.record.job
        running = self._running.get(job)
        if running is not None and running.hold.id == hold.id:
            return True
        now = self._clock.monotonic()
        if not hold.probe_due or now - self._asked.get(hold.id, -ASK_EVERY) < ASK_EVERY:
            return False
        if self._runs(hold):
            return False
        self._asked[hold.id] = now
        probe = self._running[job] = Probe(hold, delivery)
        mine = False
        try:
            mine = await self._breaking.probe(hold.id, self._worker, LEASE)
        except Fault as fault:
            log.warning("a probe may not run", type=hold.value, because=str(fault))
        finally:
            if not mine and self._running.get(job) is probe:
                del self._running[job]
        if mine:
            log.info("a probe runs", type=hold.value, job=str(job))
        return mine

    async def look(self, held: Collection[Hold]) -> None:
        """Wake a job for every probe that is due, and renew the leases; raises `Fault`."""
        now = self._clock.monotonic()
        for hold in held:
            if hold.probe_due and not self._runs(hold) and self._may_wake(hold, now):
                self._woken[hold.id] = now
                await self._sweeping.wake_probe(hold.id, self._owned())
        numbers = {hold.id for hold in held}
        self._woken = {hold: at for hold, at in self._woken.items() if hold in numbers}
        self._asked = {hold: at for hold, at in self._asked.items() if hold in numbers}
        if now - self._renewed >= RENEW_EVERY:
            self._renewed = now
            await self._renew()

    async def pass_on(self, probe: Probe, breaker: Breaker, *, works: bool) -> None:
        """Close the breaker, or have the next probe wait longer."""
        hold = probe.hold
        wait = None if works else wait_after(breaker, hold.failed_probes + 1)
        mine = await until_answered(
            self._clock, lambda: self._breaking.pass_on(hold.id, self._worker, wait)
        )
        if not mine:
            return
        if wait is None:
            log.warning("a probe succeeded: its type goes on", type=hold.value, hold=hold.id)
            self._changed(hold.value, BreakerState.CLOSED)
        else:
            log.warning("a probe failed", type=hold.value, hold=hold.id, next_in=wait)
            self._woken.pop(hold.id, None)
        await until_answered(self._clock, self._holding.read)

    def _runs(self, hold: Hold) -> bool:
        return any(one.hold.id == hold.id for one in self._running.values())

    def _may_wake(self, hold: Hold, now: float) -> bool:
        """Whether none is on its way here: one that was woken may wait for its turn for a while."""
        return now - self._woken.get(hold.id, -LEASE) >= LEASE

    async def _renew(self) -> None:
        for job, (hold, delivery) in list(self._running.items()):
            if delivery.settled:  # it was let go, or somebody ended it: the lease runs out
                del self._running[job]
            else:
                await self._breaking.probe(hold.id, self._worker, LEASE)
