"""Which waiting job starts next, and in how many slots?

Deficit round robin over the lanes' ready entities into N slots; each lane leaves a slot to the
lanes above it. A slot is held while the attempt runs; the entity is held until the job is settled.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from processor.domain.lanes import Shares, may_send
from processor.domain.priority import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from processor.domain.mailbox import Mailboxes
    from processor.domain.priority import Priority
    from processor.runtime.admission import Admission
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition

log = structlog.get_logger(__name__)


class Dispatcher:
    """Starts attempts while there are slots, ready entities, and the gate is open."""

    def __init__(
        self,
        mailboxes: Mailboxes[Delivery],
        slots: int,
        run: Callable[[Delivery], Coroutine[None, None, None]],
        gate: Callable[[], bool],
        is_lane_held: Callable[[Priority], bool],
        admission: Admission,
    ) -> None:
        self._mailboxes = mailboxes
        self._slots = slots
        self._run = run
        self._gate = gate
        self._is_lane_held = is_lane_held
        self._admission = admission
        self._shares = Shares()
        self._held = [0 for _ in LANES]
        self._asked = False
        self._stopped = False
        self.running: dict[asyncio.Task[None], Delivery] = {}
        self.dispatched = 0
        """Attempts started so far: tells that the dispatcher makes progress."""

    def wake(self) -> None:
        """Look soon whether a job can start; many calls make one look."""
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._pump)

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True

    async def idle(self, timeout: float) -> None:
        """Return when no attempt of now runs any more, or after that many seconds."""
        if self.running:
            await asyncio.wait(self.running, timeout=timeout)

    def cancel(self, partition: OwnedPartition | None = None) -> None:
        """Cancel the running attempts of a partition, or all; each has begun by then.

        An attempt that is cancelled before its first step would never let its job go.
        """
        loop = asyncio.get_running_loop()
        for attempt, delivery in self.running.items():
            if partition is None or delivery.partition is partition:
                loop.call_soon(attempt.cancel)

    def stop_one(self, delivery: Delivery) -> bool:
        """Stop the attempt of a job that was ended from outside; False where none runs."""
        for attempt, running in self.running.items():
            if running is delivery:
                delivery.cancelled = True
                asyncio.get_running_loop().call_soon(attempt.cancel)
                return True
        return False

    def _pump(self) -> None:
        self._asked = False
        if self._stopped or not self._gate():
            return
        self._send()
        while self._admission.call_next():
            self._send()

    def _send(self) -> None:
        served = [not self._is_lane_held(lane) for lane in LANES]
        ready, held = self._mailboxes.ready, self._held
        while any(ready):
            lane = self._shares.pick(
                [
                    ready[lane] and served[lane] and may_send(lane, held, self._slots)
                    for lane in LANES
                ]
            )
            if lane is None:
                return
            delivery = self._mailboxes.take(lane)
            if delivery.partition.quarantine is None or self._admission.admits(delivery):
                self._start(delivery)

    def _start(self, delivery: Delivery) -> None:
        delivery.partition.out += 1
        self._held[delivery.lane] += 1
        self.dispatched += 1
        attempt = asyncio.ensure_future(self._run(delivery))
        self.running[attempt] = delivery
        attempt.add_done_callback(self._ended)

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        delivery = self.running.pop(attempt)
        self._held[delivery.lane] -= 1
        self._admission.ended(delivery)
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            log.critical("an attempt broke outside its handler", exc_info=error)
        self.wake()
