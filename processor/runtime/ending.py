"""How does an attempt end that is no success?

With another one that the policy grants, with a wait for a handler, or for good: then the entity
goes on, or stands until an operator decides, as the handler's policy says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from processor.domain.errors import HandlerMissing, JobError
from processor.domain.job import Fail, decide
from processor.ports.waiting_room import WaitingState
from processor.runtime.calling import where_it_stood
from processor.runtime.deciding import delay_after
from processor.runtime.failing import detail_of
from processor.runtime.missing_handlers import MissingHandlers
from processor.runtime.run import as_it_waits
from processor.runtime.waits import wait_of

if TYPE_CHECKING:
    from processor.domain.events import ErrorDetail
    from processor.runtime.collaborators import Collaborators
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Handler
    from processor.runtime.run import Run

log = structlog.get_logger(__name__)


class Endings:
    """Decides how a job goes on after what is no success, and has it recorded."""

    def __init__(self, collaborators: Collaborators) -> None:
        self._with = collaborators
        self._missing = MissingHandlers(collaborators.clock)

    async def miss(self, run: Run) -> None:
        """No handler is registered: wait for one, and fail once nobody came in the grace period."""
        delivery, now = run.delivery, self._with.clock.now()
        type_ = delivery.record.type
        waited = 0.0
        if delivery.unhandled_since:
            waited = (now - delivery.unhandled_since) / 1_000_000
        if waited >= self._with.grace:
            missing = HandlerMissing(f"no handler was registered for {type_!r} in {waited:,.0f} s")
            await self.fail_unstarted(run, detail_of(missing))
            return
        self._missing.waits(type_, delivery.record.job)
        wait = wait_of(delivery, WaitingState.HELD, due_in=self._with.grace - waited)
        await self._with.recorder.wait(delivery, wait, tell=False)
        if self._with.jobs.find(type_) is not None:  # registered before the row was there
            self._with.look_afresh(delivery.partition.number)

    async def fail(self, run: Run, handler: Handler[Any], error: BaseException) -> None:
        """An attempt failed: let the policy decide whether there is another."""
        detail = detail_of(error, where_it_stood(error))
        if not isinstance(error, JobError):
            log.warning(
                "a handler failed",
                job=str(run.delivery.record.job),
                type=run.delivery.record.type,
                error=detail.type,
                place=detail.place,
            )
        now, delivery = self._with.clock.now(), run.delivery
        self._with.breakers.failed(delivery, detail)
        delay = delay_after(
            error, handler.retry, delivery.record.attempts, run.started, delivery.events, now
        )
        if delay is not None and await self._retry(run, detail, delay):
            return
        failed = decide(Fail(now, detail), run.job)
        body = self._with.outcomes.encode_failure(run, run.started, failed)
        await self._die(delivery, handler, body)

    async def fail_unstarted(self, run: Run, error: ErrorDetail) -> None:
        """The job ends without another run of its handler."""
        failed = decide(Fail(self._with.clock.now(), error), as_it_waits(run.delivery))
        body = self._with.outcomes.encode_failure(run, failed)
        handler = self._with.jobs.find(run.delivery.record.type)
        await self._die(run.delivery, handler, body)

    async def _retry(self, run: Run, detail: ErrorDetail, delay: float) -> bool:
        """Have it run again; False where its history is so long that no more fits a record."""
        now, delivery = self._with.clock.now(), run.delivery
        retrying = decide(Fail(now, detail, now + int(delay * 1_000_000)), run.job)
        body = self._with.outcomes.encode_retry(run, run.started, retrying)
        if body is None:
            log.error(
                "a job ran too often: its history fills a record, so it does not run again",
                job=str(delivery.record.job),
                runs=run.started.run,
            )
            return False
        delivery.attempt, delivery.runs = run.started.attempt, run.started.run
        wait = wait_of(delivery, WaitingState.RETRYING, due_in=delay, body=body)
        await self._with.recorder.wait(delivery, wait, tell=True)
        return True

    async def _die(self, delivery: Delivery, handler: Handler[Any] | None, body: bytes) -> None:
        if handler is not None and handler.retry.on_exhausted == "block":
            await self._with.recorder.block(delivery, body)
        else:
            await self._with.recorder.fail(delivery, body)
