"""Whose job is next, when each entity may have only one at a time?

A mailbox holds an entity's waiting jobs: higher lanes first, then their order in the log. An entity
stands in the ready line of its best job's lane unless one of its jobs is out; a line may hold stale
entries, which are skipped, so that a critical arrival moves its entity up in constant time. While
an entity is held by a head that waits elsewhere, only that head may go.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from processor.domain.priority import LANES

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_NOWHERE: Final = -1


_Placed = tuple[int, T]
"""A job behind its place: a bare tuple, since every job has one."""


def _place(placed: _Placed[T]) -> int:
    return placed[0]


class _Mailbox(Generic[T]):
    __slots__ = ("aside", "head", "held", "lines", "out", "standing")

    def __init__(self) -> None:
        self.lines: dict[int, deque[_Placed[T]]] = {}
        self.out = False
        self.held = False
        self.aside = False
        self.head: tuple[int, T] | None = None
        self.standing = _NOWHERE

    def best(self) -> int:
        """The lane whose turn the entity waits for; nowhere while nothing of it may go."""
        if self.out or self.aside:
            return _NOWHERE
        if self.head is not None:
            return self.head[0]
        return _NOWHERE if self.held else min(self.lines, default=_NOWHERE)

    @property
    def idle(self) -> bool:
        return not (self.out or self.held or self.lines or self.head)


class Mailboxes(Generic[T]):
    """The mailboxes of all entities that this worker has jobs of."""

    def __init__(self) -> None:
        self._boxes: dict[int, _Mailbox[T]] = {}
        self._ready: tuple[deque[tuple[int, _Mailbox[T]]], ...] = tuple(deque() for _ in LANES)
        self.ready = [0 for _ in LANES]
        """How many entities could send a job, by lane."""

    def __len__(self) -> int:
        """How many entities have a job waiting or out, or are held."""
        return len(self._boxes)

    def put(self, entity: int, lane: int, place: int, job: T) -> None:
        """Add a job to its entity's lane, in the order of places."""
        box = self._boxes.get(entity)
        if box is None:
            box = self._boxes[entity] = _Mailbox()
        line = box.lines.get(lane)
        if line is None:
            box.lines[lane] = deque(((place, job),))
        elif line[-1][0] <= place:
            line.append((place, job))
        else:
            insort(line, (place, job), key=_place)
        if (
            (box.standing == _NOWHERE or lane < box.standing)
            and not (box.out or box.held or box.aside)
            and box.head is None
        ):
            self._stand(entity, box, lane)

    def lead(self, entity: int, lane: int, job: T) -> None:
        """Put a held entity's head before all its other jobs; they wait until `free`."""
        box = self._box(entity)
        box.held = True
        box.head = (lane, job)
        self._restand(entity, box)

    def hold(self, entity: int) -> None:
        """Let no job of the entity go but a head that is given by `lead`."""
        box = self._box(entity)
        box.held = True
        self._restand(entity, box)

    def free(self, entity: int) -> None:
        """The entity's head has ended: its other jobs may go."""
        box = self._boxes.get(entity)
        if box is not None:
            box.held = False
            self._settle(entity, box)

    def is_held(self, entity: int) -> bool:
        """Whether a head holds the entity."""
        box = self._boxes.get(entity)
        return box is not None and box.held

    def is_out(self, entity: int) -> bool:
        """Whether a job of the entity was taken and is not settled."""
        box = self._boxes.get(entity)
        return box is not None and box.out

    def next_of(self, lane: int) -> T:
        """The job that `take` would give."""
        line = self._ready[lane]
        while line[0][1].standing != lane:
            line.popleft()
        box = line[0][1]
        return box.lines[lane][0][1] if box.head is None else box.head[1]

    def take(self, lane: int) -> T:
        """The next job of a lane whose count in `ready` is not 0; its entity sends no other now."""
        line = self._ready[lane]
        while True:
            _, box = line.popleft()
            if box.standing == lane:
                break
        self.ready[lane] -= 1
        box.standing = _NOWHERE
        box.out = True
        if box.head is not None:
            job = box.head[1]
            box.head = None
            return job
        jobs = box.lines[lane]
        job = jobs.popleft()[1]
        if not jobs:
            del box.lines[lane]
        return job

    def give_back(self, entity: int, lane: int, place: int, job: T, *, leads: bool) -> None:
        """Put a job that was taken back where it was; `leads` if it is its entity's head.

        Another one's head may have come meanwhile: then it waits behind that one.
        """
        box = self._boxes[entity]
        box.out = False
        if leads:
            self.lead(entity, lane, job)
        else:
            self.put(entity, lane, place, job)
            self._restand(entity, box)

    def set_aside(self, entity: int) -> None:
        """Let no job of an entity that has some go until `resume`, not even its head."""
        box = self._boxes[entity]
        box.aside = True
        self._restand(entity, box)

    def resume(self, entity: int) -> None:
        """Undo `set_aside`, where the entity still has jobs."""
        box = self._boxes.get(entity)
        if box is not None:
            box.aside = False
            self._restand(entity, box)

    def release(self, entity: int) -> None:
        """The job that was taken is settled, or waits elsewhere: the entity's next may go."""
        box = self._boxes[entity]
        box.out = False
        if box.lines or box.held or box.head is not None:
            self._restand(entity, box)
        else:  # most entities have one job here at a time
            del self._boxes[entity]

    def waiting(self, entity: int, lane: int) -> int:
        """How many jobs of an entity wait in a lane."""
        box = self._boxes.get(entity)
        return 0 if box is None else len(box.lines.get(lane, ()))

    def holds(self, entity: int, job: T) -> bool:
        """Whether that job waits here."""
        box = self._boxes.get(entity)
        if box is None:
            return False
        if box.head is not None and box.head[1] is job:
            return True
        return any(one is job for line in box.lines.values() for _, one in line)

    def withdraw(self, entity: int, lane: int | None = None, keep: int = 0) -> list[T]:
        """Remove and return an entity's waiting jobs of one lane, or of all, save the first few."""
        box = self._boxes.get(entity)
        if box is None:
            return []
        withdrawn: list[T] = []
        for one in sorted(box.lines) if lane is None else [lane]:
            line = box.lines.get(one, deque())
            while len(line) > keep:
                withdrawn.append(line.pop()[1])
            if not line:
                box.lines.pop(one, None)
        self._settle(entity, box)
        return withdrawn[::-1]

    def remove(self, entity: int, job: T) -> bool:
        """Remove one waiting job; False where it does not wait here."""
        box = self._boxes.get(entity)
        if box is None:
            return False
        if box.head is not None and box.head[1] is job:
            box.head = None
            self._settle(entity, box)
            return True
        for lane, line in box.lines.items():
            for placed in line:
                if placed[1] is job:
                    line.remove(placed)
                    if not line:
                        del box.lines[lane]
                    self._settle(entity, box)
                    return True
        return False

    def drop(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Remove and return the waiting jobs that are `unwanted`; jobs that are out stay."""
        dropped: list[T] = []
        for entity, box in list(self._boxes.items()):
            if box.head is not None and unwanted(box.head[1]):
                dropped.append(box.head[1])
                box.head = None
            for lane, line in list(box.lines.items()):
                kept = deque(placed for placed in line if not unwanted(placed[1]))
                dropped.extend(placed[1] for placed in line if unwanted(placed[1]))
                box.lines[lane] = kept
                if not kept:
                    del box.lines[lane]
            self._settle(entity, box)
        return dropped

    def _box(self, entity: int) -> _Mailbox[T]:
        box = self._boxes.get(entity)
        if box is None:
            box = self._boxes[entity] = _Mailbox()
        return box

    def _settle(self, entity: int, box: _Mailbox[T]) -> None:
        self._restand(entity, box)
        if box.idle:
            del self._boxes[entity]

    def _restand(self, entity: int, box: _Mailbox[T]) -> None:
        lane = box.best()
        if lane != box.standing:
            self._stand(entity, box, lane)

    def _stand(self, entity: int, box: _Mailbox[T], lane: int) -> None:
        if box.standing != _NOWHERE:
            self.ready[box.standing] -= 1
        box.standing = lane
        if lane != _NOWHERE:
            self.ready[lane] += 1
            self._ready[lane].append((entity, box))
