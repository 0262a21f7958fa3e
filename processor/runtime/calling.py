"""How is a handler called, within its time-out?"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

import structlog

from processor.domain.errors import AttemptTimeout
from processor.runtime.enduring import to_the_end
from processor.runtime.request import Interrupted, Request
from processor.runtime.result import encode_result
from processor.runtime.stepping import Over, first_step

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from concurrent.futures import Executor
    from types import TracebackType

    from processor.runtime.handlers import Handler
    from processor.runtime.observing import Observer
    from processor.runtime.run import Run

log = structlog.get_logger(__name__)


class Caller:
    """Calls handlers: coroutines in the loop, `def` functions in threads."""

    def __init__(self, threads: Executor, observer: Observer) -> None:
        self._threads = threads
        self._observer = observer

    async def call(self, run: Run, handler: Handler[Any]) -> bytes:
        """The encoded result; raises `ParseError`, `AttemptTimeout`, `ResultInvalid`.

        What else the handler raises passes through. `Interrupted` is raised although the handler
        may have swallowed it: the verdict is sticky.
        """
        self._observer.called(run)
        payload = handler.parse(run.delivery.record.payload)
        try:
            if handler.in_thread:
                returned = await self._in_thread(run, handler, payload)
            else:
                returned = await _in_loop(handler, Request(payload, run))
        finally:
            run.returned = True
        if run.opening is not None and run.interrupted:
            raise Interrupted
        return encode_result(returned)

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
        raise _timed_out(handler, None)


async def _in_loop(handler: Handler[Any], request: Request[Any]) -> object:
    """Call it; a time-out is set only for one that has to wait."""
    work = handler.function(request)
    if not isinstance(work, CoroutineType):  # what a decorator made of it
        return await _in_time(handler, handler.timeout, cast("Awaitable[object]", work))
    loop = asyncio.get_running_loop()
    began = loop.time()
    step = first_step(work)
    if isinstance(step, Over):
        return step.returned
    return await _in_time(handler, handler.timeout - (loop.time() - began), step)


async def _in_time(handler: Handler[Any], seconds: float, work: Awaitable[object]) -> object:
    deadline = asyncio.timeout(max(0.0, seconds))
    try:
        async with deadline:
            returned = await work
    except TimeoutError as error:
        if deadline.expired():
            raise _timed_out(handler, error) from error
        raise
    if deadline.expired():  # the handler swallowed the cancellation
        raise _timed_out(handler, None)
    return returned


def where_it_stood(error: BaseException) -> TracebackType | None:
    """The traceback of the cancellation by which a time-out ended the handler."""
    expired = error.__cause__
    if not isinstance(error, AttemptTimeout) or expired is None:
        return None
    # asyncio names the cancellation as the cause from Python 3.11.3 on, before it is the context.
    cancelled = expired.__cause__ or expired.__context__
    return None if cancelled is None else cancelled.__traceback__


def _timed_out(handler: Handler[Any], cause: TimeoutError | None) -> AttemptTimeout:
    error = AttemptTimeout(f"the attempt took longer than {handler.timeout:g} s")
    error.__cause__ = cause
    return error
