"""How do many ask for one thing, and one question answer them all?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from processor.ports.clock import Clock

T = TypeVar("T")


class Remembered(Generic[T]):
    """An answer that counts for so many seconds; whoever asks meanwhile shares it."""

    def __init__(self, ask: Callable[[], Awaitable[T]], clock: Clock, seconds: float) -> None:
        self._ask = ask
        self._clock = clock
        self._seconds = seconds
        self._asking: asyncio.Task[T] | None = None
        self._asked_at = 0.0

    async def __call__(self) -> T:
        """The answer; an error is everybody's who waits for it, and is not kept."""
        asking, age = self._asking, self._clock.monotonic() - self._asked_at
        if asking is None or (asking.done() and (age > self._seconds or _failed(asking))):
            self._asked_at = self._clock.monotonic()
            asking = self._asking = asyncio.create_task(_answer(self._ask))
        # One who goes away does not take the answer from the others.
        return await asyncio.shield(asking)


async def _answer(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()


def _failed(asked: asyncio.Task[T]) -> bool:
    return asked.cancelled() or asked.exception() is not None
