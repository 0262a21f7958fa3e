"""How is what many hand in worked off in groups by one?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Thing = TypeVar("Thing")


class Inbox(Generic[Thing]):
    """A queue that gives all that came in while the last group was worked off, up to a limit."""

    def __init__(self) -> None:
        self._things: list[Thing] = []
        self._arrived = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether everything was given out."""
        return not self._things

    def put(self, *things: Thing) -> None:
        """Hand in, behind what is there."""
        self._things += things
        if things:
            self._arrived.set()

    def add(self, things: Iterable[Thing]) -> None:
        """Hand in many, at least one."""
        self._things += things
        self._arrived.set()

    def put_back(self, things: Iterable[Thing]) -> None:
        """Hand in again what was given out, before what has come since."""
        self._things = [*things, *self._things]
        if self._things:
            self._arrived.set()

    def __len__(self) -> int:
        """How many wait to be given out."""
        return len(self._things)

    async def some(self) -> None:
        """Return when there is something."""
        await self._arrived.wait()

    def take(self, most: int) -> list[Thing]:
        """The first, up to so many, in order."""
        group, self._things = self._things[:most], self._things[most:]
        if not self._things:
            self._arrived.clear()
        return group

    async def group(self, most: int) -> list[Thing]:
        """Wait for something, and take up to `most`, in order."""
        await self.some()
        return self.take(most)
