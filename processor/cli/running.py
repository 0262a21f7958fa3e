"""How does a command's coroutine run, and where do its log lines go?"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from processor.domain.errors import ProcessorError, Unavailable
from processor.ports.ledger import Fault
from processor.ports.log import LogCut

T = TypeVar("T")

AGAIN_SECONDS: Final = 1.0
_GARBAGE: Final = (20_000, 20, 20)
"""Jobs are made by the thousand and live for milliseconds: Python's 700 would look at them all."""


def run(work: Coroutine[Any, Any, T], *, quiet: bool = True) -> T:
    """Run to the end; Ctrl-C cancels it first and is raised then; so does a SIGTERM that is to.

    Log lines go to stderr, for a person as text and else as JSON. A `quiet` command has none: it
    tells what matters itself, in its one line.
    """
    _configure_logs(logging.CRITICAL if quiet else logging.INFO)
    heard = signal.getsignal(signal.SIGTERM)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_cancelled_by_sigterm(work) if callable(heard) else work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except LogCut as cut:
        raise ProcessorError(
            f"{cut}: what stood between is gone; let broker and database be of one time again"
        ) from cut
    except Fault as fault:
        raise Unavailable(str(fault)) from fault
    finally:
        if callable(heard):  # the loop has put back the default
            signal.signal(signal.SIGTERM, heard)


def end_by_sigterm_too() -> None:
    """Have a supervisor's SIGTERM end this command in the same order as Ctrl-C.

    Also where Ctrl-C is ignored, as a script has it for what it puts into the background. What runs
    in a loop meanwhile is cancelled: an exception out of nowhere would meet whatever is running.
    """

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


async def serve(service: AbstractAsyncContextManager[object]) -> None:
    """Keep a service open until Ctrl-C or SIGTERM, then let it end in its own order.

    While it starts, the signal cancels it; while it ends, a second one does, at the earliest a
    second later: whoever signals a whole group of processes often signals twice.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    stopping = _Stopping(asked)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping)
    async with service:
        stopping.started = True
        _spare_what_stays()
        await asked.wait()


def _spare_what_stays() -> None:
    """Let garbage be looked for in what comes and goes: not in what a service is made of."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


class _Stopping:
    """What a signal does: cancel what starts, ask what runs, and then cancel what ends."""

    def __init__(self, asked: asyncio.Event) -> None:
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._asked_at = math.inf
        self.started = False

    def __call__(self) -> None:
        now = self._loop.time()
        if self.started and not self._asked.is_set():
            self._asked_at = now
            self._asked.set()
        elif self._task and (not self.started or now > self._asked_at + AGAIN_SECONDS):
            self._task.cancel()


def _configure_logs(level: int) -> None:
    import structlog

    person = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.ExceptionRenderer(),
            structlog.dev.ConsoleRenderer() if person else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries say goes the same way; aiokafka tells each reconnect as an error.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
