"""What is one attempt?

begin → call → commit, or record → settle, over one `Run`. The transaction is opened by the
handler's first touch; a success inside one is committed with its ledger row, a success without one
goes to the group flush, everything else is rolled back and recorded under the fence.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from processor.ports.ledger import Answer, Ending, Fault
from processor.ports.waiting_room import WaitingState
from processor.runtime.calling import timed_out
from processor.runtime.ending import Endings
from processor.runtime.enduring import to_the_end
from processor.runtime.failing import place_of
from processor.runtime.request import Interrupted
from processor.runtime.run import Run
from processor.runtime.waits import wait_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from types import TracebackType

    from processor.domain.errors import AttemptTimeout
    from processor.runtime.collaborators import Collaborators
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Handler
    from processor.runtime.request import Opening
    from processor.runtime.run import Identity

log = structlog.get_logger(__name__)

PAUSE_WHEN_BUSY = 0.05
LONGEST_PAUSE = 2.0
NOT_OURS = "the attempt was cancelled, and not by its worker"
FAULTS_AT_MOST = 20
"""Repeats that the infrastructure caused, while other connections answer."""


class Attempts:
    """Runs one attempt of a delivery to its end, whatever the handler does."""

    def __init__(self, identity: Identity, collaborators: Collaborators) -> None:
        self._identity = identity
        self.collaborators = self._with = collaborators
        self._ending = Endings(collaborators)

    async def run(self, delivery: Delivery) -> None:
        """Run it; afterwards the delivery is settled, given back, or with the flusher.

        Cancelling it means that the worker lets the job go: nothing is recorded.
        """
        if not delivery.partition.open:
            self._with.settling.abandon(delivery)
            return
        run = self.begin(delivery)
        delivery.running = run
        await self._to_its_end(run, self._attempt(run))

    async def go_on(self, run: Run, handler: Handler[Any], called: Awaitable[bytes]) -> None:
        """Take a run to its end whose handler was called: `called` gives what that comes to."""
        await self._to_its_end(run, self._call(run, handler, called))

    async def _to_its_end(self, run: Run, rest: Coroutine[Any, Any, None]) -> None:
        try:
            await rest
        except Fault as fault:
            await self._after_fault(run, fault)
        except asyncio.CancelledError:
            await self._stopped(run)
        finally:
            if not run.left_behind:
                self.over(run)

    def begin(self, delivery: Delivery) -> Run:
        """The next run of a job; its span is active in this context from here on."""
        span, trace = self._with.observer.begin(delivery)
        run = Run(self._with.desk, self._identity, delivery, self._with.clock.now(), trace)
        run.span = span
        return run

    async def conclude(self, run: Run, handler: Handler[Any], error: BaseException) -> None:
        """Record how an attempt ended that failed in a group, once that is committed."""
        run.delivery.running = run
        try:
            await self._ending.fail(run, handler, error)
        except asyncio.CancelledError:
            await self.let_go(run.delivery)
        finally:
            self.over(run)

    async def let_go(self, delivery: Delivery) -> None:
        """`stop`, to its end."""
        await to_the_end(asyncio.ensure_future(self.stop(delivery)))

    async def _after_fault(self, run: Run, fault: Fault) -> None:
        try:
            await self._close(run)
            await self._again_after_fault(run, fault)
        except asyncio.CancelledError:
            await self._stopped(run)

    async def _stopped(self, run: Run) -> None:
        """The attempt was cancelled: by the worker, or by nobody knows whom."""
        await self._close(run)
        if run.delivery.stopped:
            last = self.stop(run.delivery)
        else:
            last = self._again_after_fault(run, Fault(NOT_OURS))
        await to_the_end(asyncio.ensure_future(last))

    def over(self, run: Run) -> None:
        """Nothing more comes of a run."""
        self._with.observer.end(run)
        run.delivery.running = None

    async def stop(self, delivery: Delivery) -> None:
        """Let go of a dispatched job: somebody ended it, or the worker loses its partition."""
        if delivery.cancelled:
            await self._with.recorder.settle_as_found(delivery)
        else:
            self._with.settling.abandon(delivery)

    async def _attempt(self, run: Run) -> None:
        delivery, breakers = run.delivery, self._with.breakers
        handler = self._with.jobs.find(delivery.record.type)
        if delivery.corrupt is not None:
            await self._ending.fail_unstarted(run, delivery.corrupt)
        elif breakers.keeps(delivery) and (hold := await breakers.kept_by(delivery)) is not None:
            wait = wait_of(delivery, WaitingState.HELD, hold=hold.id)
            await self._with.recorder.wait(delivery, wait, tell=False)
        elif handler is None:
            await self._ending.miss(run)
        else:
            called = self._with.caller.call(run, handler, self.leave_behind)
            await self._call(run, handler, called)

    async def _call(self, run: Run, handler: Handler[Any], called: Awaitable[bytes]) -> None:
        """`called` gives the handler's result, or raises as `Caller.call`."""
        try:
            await self._handle(run, called)
        except BaseException as error:  # the handler's own, whatever it is
            if run.left_behind:
                return
            if isinstance(error, Fault | KeyboardInterrupt):
                raise
            await self._not_complete(run, handler, error)

    async def _handle(self, run: Run, called: Awaitable[bytes]) -> None:
        result = await called
        if run.left_behind:
            return
        body = self.completed(run, result)
        if run.opening is None:
            self._with.flusher.add(run.delivery, body, follow_ups=run.follow_ups is not None)
        else:
            await self._commit(run, run.opening, body)

    def completed(self, run: Run, result: bytes) -> bytes:
        """The outcome of a success; raises `Reject` where it is too large."""
        return self._with.outcomes.encode_success(run, self._with.clock.now(), result)

    async def _not_complete(self, run: Run, handler: Handler[Any], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError) and _is_sent(run):
            raise error
        if run.interrupted:
            await self._obey(run)
        elif fault := run.fault(error):
            raise fault from error
        else:
            await self._fail(run, handler, error)

    def leave_behind(self, run: Run, handler: Handler[Any], stands: TracebackType | None) -> None:
        """End a job without its handler, which was cancelled and goes on (it swallows that).

        Its slot, its entity and its connection are others' again; what it still does through its
        request is refused. What it does to the outside world nobody can stop.
        """
        run.left_behind = run.returned = True
        error = timed_out(handler).with_traceback(stands)
        log.error(
            "a handler goes on although its time is over, and is left behind: it must let"
            " CancelledError out",
            job=str(run.delivery.record.job),
            type=handler.type,
            place=place_of(error),
        )
        self._with.go_on_without(run.delivery, self._end_without(run, handler, error))

    async def _end_without(self, run: Run, handler: Handler[Any], error: AttemptTimeout) -> None:
        try:
            if run.delivery.stopped:
                await self._stopped(run)
            else:
                await self._fail(run, handler, error)
        except Fault as fault:
            await self._after_fault(run, fault)
        except asyncio.CancelledError:
            await self._stopped(run)
        finally:
            self.over(run)

    async def _commit(self, run: Run, opening: Opening, body: bytes) -> None:
        """Make a success durable: in its own transaction, or by the group flush."""
        delivery = run.delivery
        transaction = await opening.close()
        if run.interrupted:  # by what a task of the handler opened that nobody waited for
            raise Interrupted
        follow_ups = run.follow_ups is not None
        if transaction is None:
            self._with.flusher.add(delivery, body, follow_ups=follow_ups)
            return
        await transaction.seal()
        run.opening = None
        if await transaction.complete(delivery.entry(body)) is Answer.DONE:
            self._with.settling.settle(delivery, body, Ending.COMPLETE, follow_ups=follow_ups)
        else:
            await self._with.recorder.settle_as_found(delivery)

    async def _obey(self, run: Run) -> None:
        """Do what the verdict says that met the handler when it opened its transaction."""
        delivery, opening = run.delivery, run.opening
        await self._close(run)
        if opening is not None and opening.fault is not None:
            raise opening.fault
        await self.obey(delivery, None if opening is None else opening.verdict)

    async def obey(self, delivery: Delivery, verdict: Answer | None) -> None:
        """Do what the database said of a job that was to begin, and may not."""
        match verdict:
            case Answer.SETTLED:
                await self._with.recorder.settle_as_found(delivery)
            case Answer.BUSY:
                await self._come_again(delivery)
            case Answer.STALE if self._with.recorder.lines_up_again(delivery):
                pass
            case _:
                self._with.doubt(delivery.partition, "a job of it is not as this worker knew")
                self._with.settling.abandon(delivery)

    async def _come_again(self, delivery: Delivery) -> None:
        if delivery.cancelled:  # told during the rollback, which goes on to its end
            await self.stop(delivery)
            return
        pause = min(LONGEST_PAUSE, PAUSE_WHEN_BUSY * 2 ** min(delivery.returned, 10))
        delivery.returned += 1
        self._with.settling.give_back_after(pause, delivery)

    async def _again_after_fault(self, run: Run, fault: Fault) -> None:
        """Run it again without counting; what fails so again and again is an attempt (H18)."""
        delivery = run.delivery
        delivery.faults += 1
        if delivery.faults >= FAULTS_AT_MOST and await self._with.recorder.database_answers():
            handler = self._with.jobs.find(delivery.record.type)
            if handler is not None:
                delivery.faults = 0
                await self._fail(run, handler, RuntimeError(f"{FAULTS_AT_MOST} times: {fault}"))
                return
        log.warning(
            "the infrastructure failed; the job runs again",
            job=str(delivery.record.job),
            faults=delivery.faults,
            because=str(fault),
        )
        await self._come_again(delivery)

    async def _fail(self, run: Run, handler: Handler[Any], error: BaseException) -> None:
        await self._close(run)
        await self._ending.fail(run, handler, error)

    @staticmethod
    async def _close(run: Run) -> None:
        """Roll back whatever is open, to the end: a cancelled attempt still holds its entity."""
        opening, run.opening, run.last = run.opening, None, None
        if opening is not None:
            await to_the_end(asyncio.ensure_future(opening.roll_back()))


def _is_sent(run: Run) -> bool:
    """Whether somebody has cancelled this attempt, rather than the handler raised it by itself.

    Whom the worker did not send is not believed a second time: then it is an attempt.
    """
    attempt = asyncio.current_task()
    if attempt is None or not attempt.cancelling():
        return False
    return run.delivery.stopped or not run.delivery.faults
