"""Below which offset is every record done?"""

from __future__ import annotations

from collections import deque


class Position:
    """The contiguous watermark of one lane's partition, over records that end out of order.

    `next` is the offset below which every record is done; it never passes one that is not.
    """

    __slots__ = ("_done", "_last", "_open")

    def __init__(self, start: int) -> None:
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._last = start - 1

    @property
    def next(self) -> int:
        """The offset to read first after a crash."""
        return self._open[0] if self._open else self._last + 1

    @property
    def fetched(self) -> int:
        """The fetch cursor: one past the last offset that was accepted."""
        return self._last + 1

    @property
    def unfinished(self) -> int:
        """How many accepted records are not done."""
        return len(self._open) - len(self._done)

    def accept(self, offset: int) -> None:
        """Take note of a record that was read; offsets rise. Raises `ValueError` otherwise."""
        if offset <= self._last:
            message = f"offset {offset} was accepted before: the last is {self._last}"
            raise ValueError(message)
        self._open.append(offset)
        self._last = offset

    def done(self, offset: int) -> None:
        """Take note that an accepted record is done. Raises `ValueError` for any other offset."""
        line = self._open
        if not line or offset < line[0] or offset > self._last or offset in self._done:
            message = f"offset {offset} is not open"
            raise ValueError(message)
        if offset != line[0]:
            self._done.add(offset)
            return
        line.popleft()
        finished = self._done
        while finished and line[0] in finished:
            finished.remove(line.popleft())
