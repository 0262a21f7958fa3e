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
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec

from structlog.testing import capture_logs

from processor.adapters.memory.clock import ManualClock
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Executor

P = ParamSpec("P")
PATIENCE = 20.0
"""Real seconds that a thread may take before the test is said to hang."""
LINGERING = 0.02
"""Real seconds without anything from outside before time jumps, while something may come."""
SHORT = 0.25
"""Seconds that it jumps then at most."""
SILENT, LONGER, LONGEST = 250, 1.1, 150
"""After so many such jumps without a word from outside, each may be so much longer: five seconds
in which a busy machine says nothing are no minute, and yet who sleeps for an hour wakes soon."""
SILENCE = 1.0
"""Real seconds without anything before it is said that nobody will do anything."""


class StandstillError(AssertionError):
    """Everybody waits for something that nobody will do."""


class _Waiting(selectors.SelectSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.threads = 0
        self.outside = 0
        """How many wait for what lies outside and shows no socket."""
        self.silent = 0
        """How often nothing came from outside since it last did."""
        self.still: list[asyncio.Future[None]] = []
        """Who wants to know that everybody waits."""
        self.jumped: list[asyncio.Future[None]] = []
        """Who wants to know that time has passed."""
        self.far: float | None = None
        """How far the next jump may go past sleepers of the clock, to a timer of asyncio."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Without threads and sockets nothing can come: half of a run would be asking for it.
        alone = not self.threads and not self._is_open_to_outside()
        ready = [] if alone else super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.threads:
            ready = super().select(PATIENCE)
            if not ready:
                raise StandstillError("a thread does not come to an end")
            return ready
        if self._is_open_to_outside() and (ready := super().select(LINGERING)):
            self.silent = 0
            return ready
        if self.still:
            self.still = _told(self.still)
        elif (step := self._step(timeout)) is None:
            return self._silence()
        else:
            self.clock.advance(step)
            self.jumped = _told(self.jumped)
        return []

    def _step(self, timeout: float | None) -> float | None:
        """How far time jumps; None where nobody waits for it."""
        far, self.far = self.far, None
        leaps = far is not None and timeout is not None
        ends = (timeout, far if leaps else self.clock.next_due())
        due = [one for one in ends if one is not None]
        if not due or not self._is_open_to_outside():
            return min(due, default=None)
        self.silent += 1
        longer = min(max(0, self.silent - SILENT), LONGEST)
        return min(*due, SHORT * LONGER**longer)

    def _is_open_to_outside(self) -> bool:
        """Whether something may come from elsewhere: over a socket besides the loop's own."""
        return self.outside > 0 or len(self.get_map()) > 1

    def _silence(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What comes from outside after all, over a thread that nobody counts."""
        ready = super().select(SILENCE)
        if not ready:
            raise StandstillError("everybody waits for ever")
        return ready


def _told(waiting: list[asyncio.Future[None]]) -> list[asyncio.Future[None]]:
    for one in waiting:
        if not one.done():
            one.set_result(None)
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

    async def stillness(self) -> None:
        """Return as soon as everybody else waits for time to pass; meanwhile none does."""
        still: asyncio.Future[None] = self.create_future()
        self._waiting.still.append(still)
        await still

    async def jump(self, far: float | None = None) -> None:
        """Return when time has passed up to the next thing that somebody else waits for.

        With `far` it passes up to the next timer of asyncio, at most so many seconds: sleepers of
        the clock who are due before that wake at its end.
        """
        self._waiting.far = far
        jumped: asyncio.Future[None] = self.create_future()
        self._waiting.jumped.append(jumped)
        await jumped

    def leave(self) -> None:
        """Somebody waits for what lies outside, a socket: be slow to let time pass until `back`."""
        self._waiting.outside += 1
        self._waiting.silent = 0

    def back(self) -> None:
        """What was waited for outside has come."""
        self._waiting.outside -= 1

    def _thread_ended(self, _: object) -> None:
        self._waiting.threads -= 1


def loop_of_the_test() -> VirtualTimeLoop:
    """The running loop; raises `ConfigurationError` unless its time is virtual."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise ConfigurationError(
            "this needs a loop of virtual time: decorate the test with"
            " processor.testing.in_virtual_time"
        )
    return loop


def check_no_loop_runs(caller: str) -> None:
    """Raise `ConfigurationError` inside a coroutine: `caller` plays in loops of its own."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigurationError(
            f"{caller} plays every life in a loop of its own: call it in a plain `def` test"
        )


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
