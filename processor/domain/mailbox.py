"""Whose job is next, when each entity may have only one at a time?

A mailbox holds an entity's waiting jobs: higher lanes first, then the order of arrival. An entity
stands in the ready line of its best job's lane unless one of its jobs is out; a line may hold stale
entries, which are skipped, so that a critical arrival moves its entity up in constant time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from processor.domain.priority import LANES

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_NOWHERE: Final = -1


class _Mailbox(Generic[T]):
    __slots__ = ("lines", "out", "standing")

    def __init__(self) -> None:
        self.lines: dict[int, deque[T]] = {}
        self.out = False
        self.standing = _NOWHERE

    def best(self) -> int:
        return min(self.lines, default=_NOWHERE)


class Mailboxes(Generic[T]):
    """The mailboxes of all entities that this worker has jobs of."""

    def __init__(self) -> None:
        self._boxes: dict[int, _Mailbox[T]] = {}
        self._ready: tuple[deque[tuple[int, _Mailbox[T]]], ...] = tuple(deque() for _ in LANES)
        self.ready = [0 for _ in LANES]
        """How many entities could send a job, by lane."""

    def __len__(self) -> int:
        """How many entities have a job waiting or out."""
        return len(self._boxes)

    def put(self, entity: int, lane: int, job: T) -> None:
        """Add a job at the end of its entity's lane."""
        box = self._boxes.get(entity)
        if box is None:
            box = self._boxes[entity] = _Mailbox()
        line = box.lines.get(lane)
        if line is None:
            box.lines[lane] = deque((job,))
        else:
            line.append(job)
        if not box.out and (box.standing == _NOWHERE or lane < box.standing):
            self._stand(entity, box, lane)

    def take(self, lane: int) -> T:
        """The next job of a lane whose count in `ready` is not 0; its entity sends no other now."""
        line = self._ready[lane]
        while True:
            _, box = line.popleft()
            if box.standing == lane:
                break
        self._unstand(box)
        box.out = True
        jobs = box.lines[lane]
        job = jobs.popleft()
        if not jobs:
            del box.lines[lane]
        return job

    def give_back(self, entity: int, lane: int, job: T) -> None:
        """Put a job that was taken back before all others of its entity and lane."""
        box = self._boxes[entity]
        box.lines.setdefault(lane, deque()).appendleft(job)
        self.release(entity)

    def release(self, entity: int) -> None:
        """The job that was taken is settled: its entity's next may go."""
        box = self._boxes[entity]
        box.out = False
        if not box.lines:
            del self._boxes[entity]
            return
        self._stand(entity, box, box.best())

    def waiting(self, entity: int, lane: int) -> int:
        """How many jobs of an entity wait in a lane."""
        box = self._boxes.get(entity)
        return 0 if box is None else len(box.lines.get(lane, ()))

    def drop(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Remove and return the waiting jobs that are `unwanted`; jobs that are out stay."""
        dropped: list[T] = []
        for entity, box in list(self._boxes.items()):
            for lane, line in list(box.lines.items()):
                kept = deque(job for job in line if not unwanted(job))
                dropped.extend(job for job in line if unwanted(job))
                box.lines[lane] = kept
                if not kept:
                    del box.lines[lane]
            if box.standing != _NOWHERE and box.standing not in box.lines:
                self._unstand(box)
                if box.lines:
                    self._stand(entity, box, box.best())
            if not box.lines and not box.out:
                del self._boxes[entity]
        return dropped

    def _stand(self, entity: int, box: _Mailbox[T], lane: int) -> None:
        if box.standing != _NOWHERE:
            self.ready[box.standing] -= 1
        box.standing = lane
        self.ready[lane] += 1
        self._ready[lane].append((entity, box))

    def _unstand(self, box: _Mailbox[T]) -> None:
        self.ready[box.standing] -= 1
        box.standing = _NOWHERE
