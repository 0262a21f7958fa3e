"""How does a test let time pass without waiting for it?

On a loop whose clock is the test's own: whenever everybody waits, time jumps to the next thing that
is due, be it a sleeper of the clock or a timer of asyncio. So hours pass in milliseconds, always in
the same order. While a thread works no time passes.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec

from structlog.testing import capture_logs

from processor.adapters.memory.clock import ManualClock

if TYPE_CHECKING:
    from concurrent.futures import Executor

P = ParamSpec("P")
PATIENCE = 20.0
"""Real seconds that a thread may take before the test is said to hang."""


class StandstillError(AssertionError):
    """Everybody waits for something that nobody will do."""


class _Waiting(selectors.SelectSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.threads:
            ready = super().select(PATIENCE)
            if not ready:
                raise StandstillError("a thread does not come to an end")
            return ready
        due = [one for one in (timeout, self.clock.next_due()) if one is not None]
        if not due:
            raise StandstillError("everybody waits for ever")
        self.clock.advance(min(due))
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time is `clock`'s; remembers what went wrong where nobody was looking."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._waiting = _Waiting(self.clock)
        super().__init__(self._waiting)
        self._clock_resolution = 1e-6
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.complaints.append(context))

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop`."""
        return self.clock.monotonic()

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[..., Any],
        *args: object,
    ) -> asyncio.Future[Any]:
        """See `asyncio.AbstractEventLoop`."""
        self._waiting.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._waiting.threads -= 1


def loop_of_the_test() -> VirtualTimeLoop:
    """The running loop, which must be a virtual one."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop), "decorate the test with in_virtual_time"
    return loop


def in_virtual_time(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Run a test on a virtual loop; what broke in a callback or a forgotten task fails it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        play(test(*args, **kwargs))

    return run


def play(scenario: Coroutine[Any, Any, None]) -> None:
    """Run one scenario to its end on a virtual loop of its own; a failure tells what was logged."""
    loop = VirtualTimeLoop()
    with capture_logs() as lines:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(scenario)
            for complaint in loop.complaints:
                raise AssertionError(complaint["message"]) from complaint.get("exception")
        except BaseException:
            for line in lines:
                print(line)  # noqa: T201 - pytest shows it
            raise
