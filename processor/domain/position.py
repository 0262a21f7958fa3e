"""Below which offset is every record done?"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Position:
    """The contiguous watermark of one lane's partition, over records that end out of order.

    `next` is the offset below which every record is done; it never passes one that is not.
    """

    __slots__ = ("_last", "_line", "_open")

    def __init__(self, start: int) -> None:
        self._line: deque[int] = deque()
        """From the oldest open offset on, those that are done behind it included."""
        self._open: set[int] = set()
        self._last = start - 1

    @property
    def next(self) -> int:
        """The offset to read first after a crash."""
        return self._line[0] if self._line else self._last + 1

    @property
    def fetched(self) -> int:
        """The fetch cursor: one past the last offset that was accepted."""
        return self._last + 1

    @property
    def unfinished(self) -> int:
        """How many accepted records are not done."""
        return len(self._open)

    def accept(self, offset: int) -> None:
        """Take note of a record that was read; offsets rise. Raises `ValueError` otherwise."""
        if offset <= self._last:
            message = f"offset {offset} was accepted before: the last is {self._last}"
            raise ValueError(message)
        self._line.append(offset)
        self._open.add(offset)
        self._last = offset

    def done(self, offset: int) -> None:
        """Take note that an accepted record is done. Raises `ValueError` for any other offset."""
        if offset not in self._open:
            message = f"offset {offset} is not open"
            raise ValueError(message)
        self._open.remove(offset)
        self._pass()

    def done_together(self, offsets: Sequence[int]) -> None:
        """The same of many. Raises `ValueError`, and none of them is, where one is not open."""
        done = set(offsets)
        if len(done) < len(offsets) or not done <= self._open:
            message = f"not all of the offsets {sorted(offsets)} are open, once each"
            raise ValueError(message)
        self._open -= done
        self._pass()

    def _pass(self) -> None:
        line = self._line
        while line and line[0] not in self._open:
            line.popleft()
