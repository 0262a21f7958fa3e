"""What is one attempt?

begin → call → commit, or record → settle, over one `Run`. The transaction is opened by the
handler's first touch; a success inside one is committed with its ledger row, a success without one
goes to the group flush, everything else is rolled back and recorded under the fence.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from processor.domain.errors import HandlerMissing, JobError, Reject
from processor.domain.events import Started
from processor.domain.job import Fail, Job, Start, State, Succeed, decide, evolve
from processor.domain.limits import OUTCOME_BYTES
from processor.domain.outcome import Outcome
from processor.ports.ledger import Answer, Ending, Fault
from processor.runtime.calling import Run, where_it_stood
from processor.runtime.enduring import to_the_end
from processor.runtime.failing import detail_of
from processor.runtime.request import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.events import Durable, ErrorDetail
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.runtime.calling import Caller
    from processor.runtime.delivery import Delivery
    from processor.runtime.flusher import Flusher
    from processor.runtime.handlers import Handler, Jobs
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.recording import Recorder
    from processor.runtime.request import Opening
    from processor.runtime.settling import Settling

log = structlog.get_logger(__name__)

PAUSE_WHEN_BUSY = 0.05
LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs the attempts."""

    worker: str
    release: str


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What an attempt needs of its worker."""

    jobs: Jobs
    codec: Codec
    clock: Clock
    caller: Caller
    flusher: Flusher
    recorder: Recorder
    settling: Settling
    timeline: Callable[[], int]
    doubt: Callable[[OwnedPartition, str], None]


class Attempts:
    """Runs one attempt of a delivery to its end, whatever the handler does."""

    def __init__(self, identity: Identity, collaborators: Collaborators) -> None:
        self._identity = identity
        self._with = collaborators

    async def run(self, delivery: Delivery) -> None:
        """Run it; afterwards the delivery is settled, given back, or with the flusher.

        Cancelling it means that the worker lets the job go: nothing is recorded.
        """
        if not delivery.partition.open:
            self._with.settling.abandon(delivery)
            return
        run = self._begin(delivery)
        delivery.running = run
        try:
            await self._attempt(run)
        except Fault as fault:
            await self._close(run)
            self._again_after_fault(run, fault)
        except asyncio.CancelledError:
            await self._close(run)
            self._with.settling.abandon(delivery)
        finally:
            delivery.running = None

    def _begin(self, delivery: Delivery) -> Run:
        job = Job(State.QUEUED, delivery.record.generation, delivery.lane)
        start = Start(
            self._with.clock.now(),
            self._identity.worker,
            self._identity.release,
            delivery.partition.number,
            trace=delivery.record.trace,
        )
        started = decide(start, job)
        assert isinstance(started, Started)  # noqa: S101 - what Start decides
        return Run(delivery, evolve(job, started), started)

    async def _attempt(self, run: Run) -> None:
        delivery = run.delivery
        handler = self._with.jobs.find(delivery.record.type)
        if delivery.corrupt is not None:
            await self._fail_unstarted(run, delivery.corrupt)
        elif handler is None:
            log.error("no handler; a dead letter at once", type=delivery.record.type)
            missing = HandlerMissing(f"no handler is registered for {delivery.record.type!r}")
            await self._fail_unstarted(run, detail_of(missing))
        else:
            await self._handle(run, handler)

    async def _handle(self, run: Run, handler: Handler[Any]) -> None:
        try:
            result = await self._with.caller.call(run, handler)
            await self._commit(run, self._completed(run, result))
        except (Fault, KeyboardInterrupt):
            raise
        except BaseException as error:  # the handler's own, whatever it is
            if isinstance(error, asyncio.CancelledError) and _is_stopped():
                raise
            if run.interrupted:
                await self._obey(run)
            elif fault := _fault_of(run, error):
                raise fault from error
            else:
                await self._fail(run, error)

    def _completed(self, run: Run, result: bytes) -> bytes:
        completed = decide(Succeed(self._with.clock.now(), result), run.job)
        body = self._with.codec.encode_outcome(self._outcome(run, (run.started, completed)))
        if len(body) > OUTCOME_BYTES:
            message = f"the outcome has {len(body):,} bytes; at most {OUTCOME_BYTES:,} are kept"
            raise Reject(message)
        return body

    async def _commit(self, run: Run, body: bytes) -> None:
        """Make a success durable: in its own transaction, or by the group flush."""
        delivery = run.delivery
        transaction = None if run.opening is None else await run.opening.close()
        if run.interrupted:  # by what a task of the handler opened that nobody waited for
            raise Interrupted
        if transaction is None:
            self._with.flusher.add(delivery, body, follow_ups=False)
            return
        await transaction.seal()
        run.opening = None
        if await transaction.complete(delivery.entry(body)) is Answer.DONE:
            self._with.settling.settle(delivery, body, Ending.COMPLETE)
        else:
            await self._with.recorder.settle_as_found(delivery)

    async def _obey(self, run: Run) -> None:
        """Do what the verdict says that met the handler when it opened its transaction."""
        delivery, opening = run.delivery, run.opening
        await self._close(run)
        if opening is not None and opening.fault is not None:
            raise opening.fault
        match opening.verdict if opening is not None else None:
            case Answer.SETTLED:
                await self._with.recorder.settle_as_found(delivery)
            case Answer.BUSY:
                self._come_again(delivery)
            case _:
                self._with.doubt(delivery.partition, "a job of it is not as this worker knew")
                self._with.settling.abandon(delivery)

    def _come_again(self, delivery: Delivery) -> None:
        pause = min(LONGEST_PAUSE, PAUSE_WHEN_BUSY * 2 ** min(delivery.returned, 10))
        delivery.returned += 1
        asyncio.get_running_loop().call_later(pause, self._with.settling.give_back, delivery)

    def _again_after_fault(self, run: Run, fault: Fault) -> None:
        delivery = run.delivery
        delivery.faults += 1
        log.warning(
            "the infrastructure failed; the job runs again",
            job=str(delivery.record.job),
            faults=delivery.faults,
            because=str(fault),
        )
        self._come_again(delivery)

    async def _fail(self, run: Run, error: BaseException) -> None:
        await self._close(run)
        detail = detail_of(error, where_it_stood(error))
        if not isinstance(error, JobError):
            log.warning(
                "a handler failed",
                job=str(run.delivery.record.job),
                type=run.delivery.record.type,
                error=detail.type,
                place=detail.place,
            )
        failed = decide(Fail(self._with.clock.now(), detail), run.job)
        await self._record(run, (run.started, failed))

    async def _fail_unstarted(self, run: Run, error: ErrorDetail) -> None:
        waiting = Job(State.QUEUED, run.job.generation, run.job.lane)
        await self._record(run, (decide(Fail(self._with.clock.now(), error), waiting),))

    async def _record(self, run: Run, events: tuple[Durable, ...]) -> None:
        submission = run.delivery.value
        body = self._with.codec.encode_outcome(self._outcome(run, events, submission))
        if (over := len(body) - OUTCOME_BYTES) > 0:  # no client of ours sends one so large
            log.error("only the first bytes of a submission are kept", bytes=len(submission))
            outcome = self._outcome(run, events, submission[: -over - 1])
            body = self._with.codec.encode_outcome(outcome)
        await self._with.recorder.fail(run.delivery, body)

    def _outcome(
        self, run: Run, events: tuple[Durable, ...], submission: bytes | None = None
    ) -> Outcome:
        delivery, record = run.delivery, run.delivery.record
        return Outcome(
            record.job,
            record.generation,
            self._with.timeline(),
            record.type,
            record.entity,
            record.tenant,
            delivery.lane,
            delivery.partition.number,
            delivery.offset,
            events,
            record.batch,
            record.caller.request_id,
            submission,
        )

    @staticmethod
    async def _close(run: Run) -> None:
        """Roll back whatever is open, to the end: a cancelled attempt still holds its entity."""
        opening, run.opening = run.opening, None
        if opening is not None:
            await to_the_end(asyncio.ensure_future(_roll_back(opening)))


async def _roll_back(opening: Opening) -> None:
    transaction = await opening.close()
    if transaction is not None:
        await transaction.rollback()


def _fault_of(run: Run, error: BaseException) -> Fault | None:
    """What the infrastructure did to the handler's transaction, whatever was made of its error."""
    transaction = None if run.opening is None else run.opening.transaction
    return None if transaction is None else transaction.fault(error)


def _is_stopped() -> bool:
    """Whether the worker cancelled this attempt, rather than the handler itself."""
    attempt = asyncio.current_task()
    return attempt is not None and attempt.cancelling() > 0
