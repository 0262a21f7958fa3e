"""How does a worker show that it lives, and see who else does?"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from processor.ports.ledger import Fault
from processor.runtime.books import until_answered

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from processor.domain.pulse import Pulses
    from processor.ports.clock import Clock
    from processor.ports.ownership import Workers

log = structlog.get_logger(__name__)


class Heart:
    """Beats once a second and reads everybody's beats, always: a taker-over has then waited."""

    def __init__(
        self,
        worker: UUID,
        release: str,
        workers: Workers,
        pulses: Pulses,
        clock: Clock,
        every: float,
    ) -> None:
        self._worker = worker
        self._release = release
        self._workers = workers
        self._pulses = pulses
        self._clock = clock
        self._every = every
        self._leaving = False
        self._beaten = 0

    async def leave(self) -> None:
        """Say, now or with a later beat, that deaths of this worker from now on mean nothing."""
        self._leaving = True
        with suppress(Fault):
            await self._workers.leave(self._worker)

    async def join(self, stop: asyncio.Event, types: Iterable[str]) -> None:
        """Be known before anything is taken over: a worker that nobody knows counts as dead."""

        async def join() -> None:
            if not stop.is_set():
                await self._workers.join(self._worker, self._release, tuple(types))

        await until_answered(self._clock, join)

    async def run(self, types: Callable[[], Iterable[str]], forgotten: Callable[[], None]) -> None:
        """Beat until cancelled; `forgotten` is called where the database has lost beats of ours.

        It was restored to an earlier time then, whatever else it says of itself (H38).
        """
        while True:
            try:
                await self._beat(tuple(types()), forgotten)
            except Fault as fault:
                log.warning("no beat: the database does not answer", because=str(fault))
            await self._clock.sleep(self._every)

    async def _beat(self, types: tuple[str, ...], forgotten: Callable[[], None]) -> None:
        asked_at = self._clock.monotonic()
        beats = await self._workers.beat(self._worker)
        mine = beats.get(self._worker)
        beaten = 0 if mine is None else mine.beat
        if beaten <= self._beaten:
            log.error("the database has forgotten beats: it was restored to an earlier time")
            forgotten()
        self._beaten = beaten
        if mine is None:
            await self._workers.join(self._worker, self._release, types)
        if self._leaving and not (mine and mine.leaving):
            await self._workers.leave(self._worker)
        moving = {worker: beat.beat for worker, beat in beats.items()}
        self._pulses.observe(moving, self._clock.monotonic(), asked_at)
