"""For how long has the event loop stood still?

A handler that blocks keeps everything of its worker from running, the heartbeats included, and so
does whoever freezes the process. A sleeper that wakes late finds it out afterwards; a thread of its
own says it meanwhile, and who it is.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

import structlog

from processor.runtime.failing import place_in
from processor.runtime.troubles import SAY_AGAIN, Trouble, Troubles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from processor.ports.clock import Clock
    from processor.runtime.delivery import Delivery

TICK: Final = 0.25
REMEMBERED: Final = 60.0
"""Seconds for which a standstill that is over is told."""
STOOD: Final = "the event loop stood still"
MEND: Final = "let handlers await what takes long, or make them `def`: those run in threads"

FUNCTIONS_TOLD_APART: Final = 1_000

log = structlog.get_logger(__name__)


class LoopLag:
    """How late the loop is, and was lately."""

    def __init__(self, clock: Clock, allowed: float) -> None:
        """`allowed`: seconds that it may be late without a word."""
        self._clock = clock
        self._allowed = allowed
        self.troubles = Troubles(clock)
        """Where what is wrong with a worker is told, this and other things."""
        self._due = math.inf
        self._total = 0.0
        self._longest = (0.0, -math.inf)
        self.place = ""
        """Where the loop stood, if somebody has seen it: module:function:line."""

    def late(self) -> float:
        """Seconds for which it stands still now; 0 where that is within what is allowed."""
        late = self._clock.monotonic() - self._due
        return late if late >= self._allowed else 0.0

    def stood_still(self) -> float:
        """Seconds that it has stood still so far, all in all."""
        return self._total + self.late()

    def longest(self) -> float:
        """The longest standstill of the last minute, also one that lasts, from any thread."""
        seconds, at = self._longest
        lately = seconds if self._clock.monotonic() - at < REMEMBERED else 0.0
        return max(lately, self.late())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._due = self._clock.monotonic() + TICK
            await self._clock.sleep(TICK)
            late = self.late()
            if late:
                self._stood(late)
            elif self._longest[0] and not self.longest():
                self._longest = (0.0, -math.inf)
                self.troubles.see(STOOD, ())

    def _stood(self, seconds: float) -> None:
        self._total += seconds
        place, self.place = self.place, ""
        self._longest = (max(seconds, self.longest()), self._clock.monotonic())
        why = f"nothing of this worker ran for {seconds:.1f} s"
        why += f", while it was in {place}" if place else ""
        self.troubles.see(STOOD, [Trouble(STOOD, "this process", why, MEND)])


class Witness:
    """`with` in the loop's thread: says while the loop stands still who keeps it."""

    def __init__(self, lag: LoopLag, running: Mapping[asyncio.Task[Any], Delivery]) -> None:
        """`running`: which job an attempt is for."""
        self._lag = lag
        self._running = running
        self._gone = threading.Event()
        self._told: dict[str, float] = {}
        """When it was said of which function."""

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        threading.Thread(target=self._watch, name="loop-witness", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._gone.set()

    def _watch(self) -> None:
        seen = False
        while not self._gone.wait(TICK):
            late = self._lag.late()
            if late and not seen:
                self._see(late)
            seen = late > 0

    def _see(self, late: float) -> None:
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - the documented way to them
        place = self._lag.place = place_in(traceback.extract_stack(frame))
        now, function = time.monotonic(), place.rpartition(":")[0]
        if now - self._told.get(function, -math.inf) >= SAY_AGAIN:
            self._tell(place, late)
            if function in self._told or len(self._told) < FUNCTIONS_TOLD_APART:
                self._told[function] = now

    def _tell(self, place: str, late: float) -> None:
        delivery = self._delivery()
        job = {} if delivery is None else _named(delivery)
        log.error("the event loop stands still", where=place, seconds=round(late, 1), **job)

    def _delivery(self) -> Delivery | None:
        attempt = asyncio.current_task(self._loop)
        return None if attempt is None else self._running.get(attempt)


def _named(delivery: Delivery) -> dict[str, str]:
    return {"job": str(delivery.record.job), "type": delivery.record.type}
