"""When does the breaker of a type hold it, and what does it let through?

Each worker counts what its own attempts come to. Once that is too bad (`domain/breaker.py`) the
type is held for all workers of this release, and its next jobs are parked, not failed; those of
another release go on. From the failure that decides it on, no job of the type starts here, though
the hold is known to the database only a moment later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from processor.domain.breaker import NOTHING, UNCOUNTED, Breaker, BreakerState, after, verdict
from processor.ports.ledger import Fault
from processor.runtime.books import until_answered
from processor.runtime.breaker_news import BreakerTeller
from processor.runtime.letting_out import is_let_out
from processor.runtime.probing import Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable

    from processor.domain.breaker import Trend
    from processor.domain.events import ErrorDetail
    from processor.ports.holds import Hold
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Jobs
    from processor.runtime.holding import Holding
    from processor.runtime.probing import Probe
    from processor.runtime.world import Manner, World

LOOK_EVERY = 1.0
FORSAKE_EVERY = 30.0

log = structlog.get_logger(__name__)


class Breakers:
    """The breakers of this worker's types."""

    def __init__(
        self,
        jobs: Jobs,
        world: World,
        manner: Manner,
        holding: Holding,
        owned: Callable[[], Collection[int]],
    ) -> None:
        self._jobs = jobs
        self._breaking = world.holds
        self._clock = world.clock
        self._metrics = world.metrics
        self._release = manner.release
        self._holding = holding
        self._probes = Probes(world, manner.worker, holding, owned, self._changed)
        self._teller = BreakerTeller(world.holds, world.log, world.events, world.clock)
        self._trends: dict[str, Trend] = {}
        """Of the types of which jobs have failed lately."""
        self._opening: dict[str, asyncio.Event] = {}
        """Types that are being held: set once that is known."""
        self._why: dict[str, str] = {}
        self._ended: list[tuple[Probe, bool]] = []
        """Probes that have ended, and whether they succeeded."""
        self._work = asyncio.Event()
        self._forsaken = world.clock.monotonic()
        world.metrics.watch_breakers(lambda: [hold.value for hold in self._held()])

    def services(self) -> list[Coroutine[None, None, None]]:
        """What runs as long as the worker does."""
        return [self._decide(), self._look(), self._teller.run()]

    @property
    def watching(self) -> bool:
        """Whether a success says anything; as long as nothing fails it does not."""
        return bool(self._trends or self._probes)

    def succeeded(self, deliveries: Iterable[Delivery]) -> None:
        """The success of these jobs is durable."""
        for delivery in deliveries:
            record = delivery.record
            self._probed(delivery, works=True)
            trend, breaker = self._trends.get(record.type), self._breaker(record.type)
            if trend is not None and breaker is not None:
                self._remember(record.type, after(trend, breaker, record.job, failed=False))

    def failed(self, delivery: Delivery, error: ErrorDetail) -> None:
        """An attempt of this job has failed; nothing of that is written yet."""
        record = delivery.record
        self._probed(delivery, works=False)
        breaker = self._breaker(record.type)
        if breaker is None or error.reason in UNCOUNTED or self._holds(record.type):
            return
        before = self._trends.get(record.type, NOTHING)
        trend = after(before, breaker, record.job, failed=True)
        self._remember(record.type, trend)
        why = verdict(trend, breaker)
        if why is not None:
            place = f" at {error.place}" if error.place else ""
            self._why[record.type] = f"{why}, the last with {error.type}{place}"
            self._opening[record.type] = asyncio.Event()
            self._work.set()

    def keeps(self, delivery: Delivery) -> bool:
        """Whether it may be that a job is kept: `kept_by` tells."""
        if delivery.record.type in self._opening:
            return True
        return self._holding.match(delivery.record, delivery.lane) is not None

    async def kept_by(self, delivery: Delivery) -> Hold | None:
        """What keeps a job from running; None where it may run, if as a probe."""
        record = delivery.record
        while (opening := self._opening.get(record.type)) is not None:
            await opening.wait()
        hold = self._holding.match(record, delivery.lane)
        if hold is None or is_let_out(hold, delivery.revision):
            return None
        if not hold.is_breakers:
            return hold
        return None if await self._probes.lets(delivery, hold) else hold

    async def _decide(self) -> None:
        """Hold, and release, as soon as it is decided."""
        while True:
            await self._work.wait()
            self._work.clear()
            for type_ in list(self._opening):
                await self._open(type_)
            ended, self._ended = self._ended, []
            for probe, works in ended:
                breaker = self._breaker(probe.hold.value) or Breaker()
                await self._probes.pass_on(probe, breaker, works=works)

    async def _open(self, type_: str) -> None:
        wait = (self._breaker(type_) or Breaker()).wait
        why = self._why.pop(type_)
        hold = await until_answered(
            self._clock, lambda: self._breaking.trip(type_, self._release, why, wait)
        )
        log.error(
            "a breaker holds a type: its jobs wait until a probe succeeds",
            type=type_,
            release=self._release,
            hold=hold.id,
            because=hold.why,
        )
        await self._holding.keep(hold)
        self._trends.pop(type_, None)
        self._opening.pop(type_).set()
        self._changed(type_, BreakerState.OPEN)

    async def _look(self) -> None:
        """Look every second after what is held."""
        while True:
            held = self._held()
            for hold in held:
                self._trends.pop(hold.value, None)  # it begins anew when the hold has gone
            try:
                await self._probes.look(held)
                if self._clock.monotonic() - self._forsaken >= FORSAKE_EVERY:
                    self._forsaken = self._clock.monotonic()
                    await self._breaking.forsake()
            except Fault as fault:
                log.warning("breakers are not looked after", because=str(fault))
            await self._clock.sleep(LOOK_EVERY)

    def _probed(self, delivery: Delivery, *, works: bool) -> None:
        probe = self._probes.end(delivery.record.job)
        if probe is not None:
            self._ended.append((probe, works))
            self._work.set()

    def _changed(self, type_: str, state: BreakerState) -> None:
        self._metrics.breaker_changed(type_, state)
        self._teller.tell_soon()

    def _held(self) -> list[Hold]:
        return [hold for hold in self._holding.open() if hold.is_breakers]

    def _holds(self, type_: str) -> bool:
        """Whether the type's breaker is open, or is being opened."""
        return type_ in self._opening or any(hold.value == type_ for hold in self._held())

    def _remember(self, type_: str, trend: Trend) -> None:
        if trend.results:
            self._trends[type_] = trend
        else:
            self._trends.pop(type_, None)

    def _breaker(self, type_: str) -> Breaker | None:
        handler = self._jobs.find(type_)
        return None if handler is None else handler.breaker
