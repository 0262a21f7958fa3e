"""Whose turn is it to hold one of the connections?"""

from __future__ import annotations

import asyncio
from collections import deque

from processor.domain.priority import LANES, Priority


class Turns:
    """Shares `size` places among the lanes: the more urgent first, some kept for the urgent.

    Lane i may hold, together with the lanes below it, at most size - i places, and at least one: so
    that a flood below never holds what a lane above needs.
    """

    def __init__(self, size: int) -> None:
        self._caps = [max(1, size - lane) for lane in LANES]
        self._held = [0 for _ in LANES]
        """By lane, what it holds together with those below it."""
        self._waiting: list[deque[asyncio.Future[None]]] = [deque() for _ in LANES]

    async def enter(self, lane: Priority) -> None:
        """Hold a place from now on; waits until there is one."""
        if self._may(lane) and not (any(self._waiting) and any(self._waiting[: lane + 1])):
            self._hold(lane, 1)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting[lane]:
                self._waiting[lane].remove(turn)
            elif not turn.cancelled():  # granted in the same moment: the next one has it
                self.leave(lane)
            raise

    def leave(self, lane: Priority) -> None:
        """Give the place to whoever is next."""
        self._hold(lane, -1)
        if any(self._waiting):
            self._grant()

    def _hold(self, lane: Priority, places: int) -> None:
        for above in range(lane + 1):
            self._held[above] += places

    def _grant(self) -> None:
        for lane in LANES:
            waiting = self._waiting[lane]
            while waiting and self._may(lane):
                turn = waiting.popleft()
                if not turn.done():
                    self._hold(lane, 1)
                    turn.set_result(None)

    def _may(self, lane: Priority) -> bool:
        return all(self._held[above] < self._caps[above] for above in range(lane + 1))
