"""How is an end that is no success written down?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from processor.ports.ledger import Answer, Ending, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.ports.clock import Clock
    from processor.ports.ledger import Ledger, LedgerRow
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.settling import Settling

PAUSE = 0.05
LONGEST_PAUSE = 2.0

log = structlog.get_logger(__name__)


class Recorder:
    """Writes failures under the fence and the entity's lock, until the database has answered."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        settling: Settling,
        doubt: Callable[[OwnedPartition, str], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settling = settling
        self._doubt = doubt

    async def fail(self, delivery: Delivery, body: bytes) -> None:
        """Record a failure for good; settles the delivery, or abandons it where it is not ours."""
        answer = await self._answered(delivery, body)
        match answer:
            case Answer.DONE:
                self._settling.settle(delivery, body, Ending.FAILED)
            case Answer.SETTLED:
                await self.settle_as_found(delivery)
            case Answer.STALE | Answer.FENCED | Answer.BUSY:
                self._doubt(delivery.partition, f"a failure was answered {answer.name.lower()}")
                self._settling.abandon(delivery)

    async def settle_as_found(self, delivery: Delivery) -> None:
        """Settle a job that the ledger says has ended already."""
        row = await self._winner(delivery)
        if row is None:
            self._settling.give_back(delivery)
        else:
            self._settling.settle_as(delivery, row)

    async def _answered(self, delivery: Delivery, body: bytes) -> Answer:
        pause = PAUSE
        while True:
            try:
                answer = await self._ledger.fail(
                    delivery.partition.fence, delivery.entity, delivery.entry(body)
                )
            except Fault as fault:
                log.warning("the ledger does not answer; recording again", because=str(fault))
            else:
                if answer is not Answer.BUSY or not delivery.partition.open:
                    return answer
            await self._clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _winner(self, delivery: Delivery) -> LedgerRow | None:
        while True:
            try:
                return await self._ledger.row(delivery.record.job, delivery.record.generation)
            except Fault as fault:
                log.warning("the ledger does not answer; reading again", because=str(fault))
                await self._clock.sleep(LONGEST_PAUSE)
