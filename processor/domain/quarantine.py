"""Which of a partition's records may have killed a worker, and which one has?

A job that kills its process reaches no failure path, so it is found by what deaths leave behind.
The first death of an owner only has its successors note how far they read: whatever kills again
lies below that, or is a row of the waiting room, which is marked while it runs. From the second
death on everything there is a suspect: decoded and run one at a time in a process, each under a
mark of its own. The third death under one mark is proof enough (H17). All is forgotten when the
partition is calm: the positions have passed what could have been in flight, and so has every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from processor.domain.priority import Priority

DEATHS_TO_SUSPECT: Final = 2
DEATHS_TO_CONVICT: Final = 3
READ_AHEAD: Final = 25
"""Jobs of a lane that are read and not done, at most, while deaths are remembered: the next death
makes suspects of them, and suspects run one at a time."""


IN_FLIGHT: Final = 10_000
"""Records of a lane at most that a first death is taken to have had in flight. What lies further on
and kills again does so once more for as many records in between: each spell gets as far."""


class Suspect(NamedTuple):
    """One record as the deaths so far speak of it."""

    lane: Priority
    offset: int
    """With `lane` its place; a row of the waiting room keeps that of its first sighting."""
    deaths: int = 0
    """Workers that died while it was their only suspect."""
    while_decoding: int = 0
    """Those of them that were about to decode it, not to run it."""

    @property
    def is_convicted(self) -> bool:
        """Whether it is to end as `WorkerLost`, without another run."""
        return self.deaths >= DEATHS_TO_CONVICT

    @property
    def is_unreadable(self) -> bool:
        """Whether it is to end so by its bytes: nobody will know which job it was."""
        return self.while_decoding >= DEATHS_TO_CONVICT


@dataclass(frozen=True, slots=True)
class Found:
    """What a take-over found of a partition whose owners died."""

    unclean: int
    """Deaths since the partition was last calm."""
    reached: Sequence[int]
    """By lane how far it was read since the first of them."""
    suspects: Collection[Suspect] = ()


class Quarantine:
    """What is suspected of one partition, for as long as one worker owns it."""

    __slots__ = ("_calm_from", "_known", "_reached", "_until", "marked")

    def __init__(self, found: Found, positions: Sequence[int], ends: Sequence[int]) -> None:
        """`ends` are those of the lanes, `positions` where they are worked from."""
        grave = found.unclean >= DEATHS_TO_SUSPECT
        self._until = tuple(found.reached) if grave else (0,) * len(found.reached)
        self._calm_from = self._until if grave else tuple(map(_in_flight, positions, ends))
        self._reached = list(found.reached)
        self._known = {(one.lane, one.offset): one for one in found.suspects}
        self.marked = 0
        """Marks that this worker has set and not cleared."""

    def suspects(self, lane: Priority, offset: int, *, waits: bool = False) -> bool:
        """Whether a record may only be decoded and run alone.

        `waits` for a row of the waiting room: the positions have passed it, so that only a mark
        that a death left speaks against it.
        """
        return (not waits and offset < self._until[lane]) or (lane, offset) in self._known

    def convicted(self, lane: Priority, offset: int) -> Suspect | None:
        """The proof against a record, where it is complete."""
        known = self._known.get((lane, offset))
        return known if known is not None and known.is_convicted else None

    def pardon(self, lane: Priority, offset: int) -> None:
        """Hold nothing against a record any more: it has ended."""
        self._known.pop((lane, offset), None)

    def until(self, lane: Priority) -> int:
        """The offset from which on a lane's records are free of suspicion."""
        return self._until[lane]

    def bound(self, lane: Priority, position: int, look_ahead: int) -> int:
        """How many records of a lane may be read and not done, where `look_ahead` usually may.

        Suspects that wait for their turn keep nobody out.
        """
        return min(look_ahead, READ_AHEAD) + max(0, self._until[lane] - position)

    def reach(self, lane: Priority, end: int) -> tuple[int, ...] | None:
        """How far the lanes are read once this is; None where it was noted already."""
        if end <= self._reached[lane]:
            return None
        self._reached[lane] = end
        return tuple(self._reached)

    def has_passed(self, positions: Sequence[int]) -> bool:
        """Whether nothing that a death could have had in flight is left, save in rows."""
        return not self.marked and all(
            now >= then for now, then in zip(positions, self._calm_from, strict=True)
        )


def _in_flight(position: int, end: int) -> int:
    return min(end, position + IN_FLIGHT)
