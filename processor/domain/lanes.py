"""Which lane is served next?

Deficit round robin with unit cost (Shreedhar and Varghese, 1995): each round a lane that has
something to do earns its weight and spends one for each job; a lane with nothing to do keeps no
credit, so that the shares hold only under saturation and nobody saves up for a burst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.priority import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Shares:
    """The lanes' credits; `pick` says whose turn it is."""

    __slots__ = ("_credits", "_turn", "_weights")

    def __init__(self, weights: Sequence[int] = WEIGHTS) -> None:
        self._weights = tuple(weights)
        self._credits = list(weights)
        self._turn = 0

    def pick(self, ready: Sequence[bool | int]) -> int | None:
        """The lane that may send one job now, among those that are ready; None where none is.

        Where none is, nobody loses what is left of his turn: so the shares hold also where places
        become free one at a time.
        """
        held = self._credits
        turn = self._turn
        if ready[turn] and held[turn] > 0:
            held[turn] -= 1
            return turn
        if not any(ready):
            return None
        while not (ready[turn] and held[turn] > 0):
            turn = turn + 1 if turn + 1 < len(held) else 0
            held[turn] = self._weights[turn]
        held[turn] -= 1
        self._turn = turn
        return turn


def may_send(lane: int, running: Sequence[int], capacity: int) -> bool:
    """Whether a lane may take one more of `capacity` places, given how many each lane holds.

    A lane leaves a place to each lane above it: together with the lanes below it, it holds at most
    `capacity` less its number, and at least one.
    """
    held = sum(running[lane:])
    return held < max(1, capacity - lane) and sum(running) < capacity
