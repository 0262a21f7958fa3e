"""How is a handler called, within its time-out?"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import structlog

from processor.domain.errors import AttemptTimeout
from processor.runtime.enduring import to_the_end
from processor.runtime.follow_ups import FollowUps
from processor.runtime.request import Cluster, Interrupted, Opening, Request
from processor.runtime.result import encode_result

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from concurrent.futures import Executor
    from types import TracebackType

    from opentelemetry.trace import Span

    from processor.domain.events import Durable, Started
    from processor.domain.ids import JobId
    from processor.domain.job import Job
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.transactions import Transactions
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Handler
    from processor.runtime.observing import Observer
    from processor.runtime.submission import Submission

log = structlog.get_logger(__name__)


class Desk(NamedTuple):
    """What makes follow-ups."""

    codec: Codec
    clock: Clock


class Run:
    """One run of a job: the value that the steps of an attempt hand on."""

    __slots__ = (
        "_desk",
        "called",
        "delivery",
        "follow_ups",
        "job",
        "last",
        "opening",
        "progress",
        "span",
        "started",
        "told",
        "told_at",
    )

    def __init__(
        self,
        desk: Desk,
        delivery: Delivery,
        job: Job,
        started: Started,
        span: Span | None = None,
    ) -> None:
        self._desk = desk
        self.span = span
        """The attempt's own; None where nobody traces."""
        self.called = False
        """The handler was called."""
        self.last: Durable | None = None
        """The event with which the outcome ends that is being made durable."""
        self.delivery = delivery
        self.job = job
        self.started = started
        self.opening: Opening | None = None
        self.follow_ups: FollowUps | None = None
        self.progress: tuple[float, str] | None = None
        """What the handler last told of its progress: percent and note."""
        self.told_at: int | None = None
        """When the journal was last told that it runs; None while it was not."""
        self.told: tuple[float, str] | None = None

    def submit(self, submission: Submission) -> JobId:
        """Take a follow-up of the handler's."""
        if self.follow_ups is None:
            codec, clock = self._desk
            self.follow_ups = FollowUps(codec, clock, self.delivery.record, self.started)
        return self.follow_ups.add(submission)

    def tell(self, percent: float, note: str) -> None:
        """Take what the handler says of its progress."""
        self.progress = (percent, note)

    @property
    def interrupted(self) -> bool:
        """Whether a verdict or a fault met the handler when it opened its transaction."""
        opening = self.opening
        return opening is not None and (opening.verdict or opening.fault) is not None


class Caller:
    """Calls handlers: coroutines in the loop, `def` functions in threads."""

    def __init__(self, transactions: Transactions, threads: Executor, observer: Observer) -> None:
        self._transactions = transactions
        self._threads = threads
        self._observer = observer

    async def call(self, run: Run, handler: Handler[Any]) -> bytes:
        """The encoded result; raises `ParseError`, `AttemptTimeout`, `ResultInvalid`.

        What else the handler raises passes through. `Interrupted` is raised although the handler
        may have swallowed it: the verdict is sticky.
        """
        self._observer.called(run)
        payload = handler.parse(run.delivery.record.payload)
        if handler.in_thread:
            return encode_result(await self._in_thread(run, handler, payload))
        returned = await self._in_loop(run, handler, payload)
        if run.interrupted:
            raise Interrupted
        return encode_result(returned)

    async def _in_loop(self, run: Run, handler: Handler[Any], payload: object) -> object:
        run.opening = Opening(self._transactions, run.delivery.claim)
        request = _request(run, payload, run.opening)
        deadline = asyncio.timeout(handler.timeout)
        try:
            async with deadline:
                returned = await cast("Awaitable[object]", handler.function(request))
        except TimeoutError as error:
            if deadline.expired():
                raise _timed_out(handler, error) from error
            raise
        if deadline.expired():  # the handler swallowed the cancellation
            raise _timed_out(handler, None)
        return returned

    async def _in_thread(self, run: Run, handler: Handler[Any], payload: object) -> object:
        """A thread cannot be stopped: past its time-out the attempt fails when the thread ends.

        A cancelled attempt waits for it too: until then nothing of its entity may start (H27).
        """
        request = _request(run, payload, None)
        thread = asyncio.get_running_loop().run_in_executor(
            self._threads, copy_context().run, handler.function, request
        )
        try:
            done, _ = await asyncio.wait((thread,), timeout=handler.timeout)
            if done:
                return thread.result()
            log.error("a thread runs past its time-out and keeps its slot", type=handler.type)
            await asyncio.wait((thread,))
        finally:
            await to_the_end(thread)
        raise _timed_out(handler, None)


def where_it_stood(error: BaseException) -> TracebackType | None:
    """The traceback of the cancellation by which a time-out ended the handler."""
    expired = error.__cause__
    if not isinstance(error, AttemptTimeout) or expired is None:
        return None
    # asyncio names the cancellation as the cause from Python 3.11.3 on, before it is the context.
    cancelled = expired.__cause__ or expired.__context__
    return None if cancelled is None else cancelled.__traceback__


def _request(run: Run, payload: object, opening: Opening | None) -> Request[Any]:
    started, record = run.started, run.delivery.record
    cluster = Cluster(
        started.worker,
        started.release,
        started.partition,
        started.lane,
        started.attempt,
        started.run,
        record.generation,
    )
    return Request(payload, record, cluster, opening, run)


def _timed_out(handler: Handler[Any], cause: TimeoutError | None) -> AttemptTimeout:
    error = AttemptTimeout(f"the attempt took longer than {handler.timeout:g} s")
    error.__cause__ = cause
    return error
