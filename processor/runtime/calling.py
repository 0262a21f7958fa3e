"""How is a handler called, within its time-out?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import copy_context
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from processor.domain.errors import AttemptTimeout
from processor.runtime.enduring import to_the_end
from processor.runtime.request import Interrupted, Request
from processor.runtime.result import encode_result
from processor.runtime.stepping import Over, first_step
from processor.runtime.time_out import Patience, TimeOut

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from processor.runtime.handlers import Handler
    from processor.runtime.observing import Observer
    from processor.runtime.run import Run

    Overdue = Callable[[Run, Handler[Any], TracebackType | None], None]

log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """A handler that has to wait."""

    work: object
    """What calling it gave."""
    rest: Awaitable[object]
    seconds: float
    """The time it still has."""


class Caller:
    """Calls handlers: coroutines in the loop, `def` functions in threads."""

    def __init__(
        self, threads: Executor, observer: Observer, patience: Patience | None = None
    ) -> None:
        self._threads = threads
        self._observer = observer
        self._patience = patience or Patience()

    def first(self, run: Run, handler: Handler[Any]) -> Over | Waiting:
        """Call a coroutine as far as it goes without waiting; raises what `call` raises."""
        self._observer.called(run)
        work: Any = handler.function(Request(handler.parse(run.delivery.record.payload), run))
        if not isinstance(work, CoroutineType):  # but what a decorator made of it
            return Waiting(work, work, handler.timeout)
        loop = asyncio.get_running_loop()
        began = loop.time()
        step = first_step(work)
        if isinstance(step, Over):
            return step
        return Waiting(work, step, max(0.0, handler.timeout - (loop.time() - began)))

    async def call(
        self, run: Run, handler: Handler[Any], overdue: Overdue = lambda *_: None
    ) -> bytes:
        """The encoded result; raises `ParseError`, `AttemptTimeout`, `ResultInvalid`, `Reject`.

        What else the handler raises passes through. `Interrupted` is raised although the handler
        may have swallowed it: the verdict is sticky. So is what was said of its follow-ups.
        `overdue` is told where a coroutine stands that goes on although its time-out cancelled it.
        """
        try:
            if handler.in_thread:
                self._observer.called(run)
                payload = handler.parse(run.delivery.record.payload)
                returned = await self._in_thread(run, handler, payload)
            else:
                first = self.first(run, handler)
                if not isinstance(first, Over):
                    return await self.rest(run, handler, first, overdue)
                returned = first.returned
        finally:
            run.returned = True
        return self.result(run, returned)

    async def rest(
        self, run: Run, handler: Handler[Any], waiting: Waiting, overdue: Overdue
    ) -> bytes:
        """What `call` gives, of a handler that has made its first step."""
        try:
            returned = await self._within_its_time(run, handler, waiting, overdue)
        finally:
            run.returned = True
        return self.result(run, returned)

    @staticmethod
    def result(run: Run, returned: object) -> bytes:
        """What a handler returned, encoded, where the run may be complete; raises as `call`."""
        if run.opening is not None and run.interrupted:
            raise Interrupted
        if run.follow_ups is not None:
            run.follow_ups.assert_whole()
        return encode_result(returned)

    async def _within_its_time(
        self, run: Run, handler: Handler[Any], waiting: Waiting, overdue: Overdue
    ) -> object:
        """A time-out is set only for one that has to wait."""
        work, rest, seconds = waiting
        time_out = TimeOut(
            seconds, self._patience, lambda: overdue(run, handler, where_it_stands(work))
        )
        try:
            with time_out:
                returned = await rest
        except asyncio.CancelledError as cancelled:
            if time_out.expired and not run.delivery.stopped:
                raise timed_out(handler) from cancelled
            raise
        if time_out.expired:  # the handler swallowed the cancellation
            raise timed_out(handler)
        return returned

    async def _in_thread(self, run: Run, handler: Handler[Any], payload: object) -> object:
        """A thread cannot be stopped: past its time-out the attempt fails when the thread ends.

        A cancelled attempt waits for it too: until then nothing of its entity may start (H27).
        """
        request = Request(payload, run, in_thread=True)
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
        raise timed_out(handler)


def where_it_stood(error: BaseException) -> TracebackType | None:
    """The traceback of the cancellation by which a time-out ended the handler."""
    cancelled = error.__cause__ if isinstance(error, AttemptTimeout) else None
    return None if cancelled is None else cancelled.__traceback__


def where_it_stands(work: object) -> TracebackType | None:
    """The same of a handler's coroutine that is suspended and goes on."""
    frames = []
    coroutine: Any = work
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        frames.append(frame)
        coroutine = coroutine.cr_await
    stands = None
    for frame in reversed(frames):
        stands = TracebackType(stands, frame, frame.f_lasti, frame.f_lineno)
    return stands


def timed_out(handler: Handler[Any]) -> AttemptTimeout:
    """The error of an attempt that took longer than it may."""
    return AttemptTimeout(f"the attempt took longer than {handler.timeout:g} s")
