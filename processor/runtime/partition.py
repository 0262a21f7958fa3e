"""What does a worker hold of a partition that it owns?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.position import Position
from processor.domain.priority import LANES
from processor.ports.ownership import Move

if TYPE_CHECKING:
    from processor.domain.priority import Priority
    from processor.domain.quarantine import Quarantine
    from processor.ports.ownership import Fence, Positions


class OwnedPartition:
    """One spell of owning a partition, under one token; a later spell is another object.

    What began under a spell ends under it: a partition that comes back while jobs of an older spell
    are still out is not taken before they are in (H27).
    """

    __slots__ = (
        "_arrived",
        "fence",
        "held_bytes",
        "leaving",
        "lost",
        "out",
        "positions",
        "quarantine",
        "spell",
        "written",
    )

    def __init__(self, fence: Fence, positions: Positions) -> None:
        self.fence = fence
        self.spell = fence.token.bytes
        """Tells this spell of owning the partition from every other."""
        self.positions = tuple(Position(start) for start in positions)
        self.written = positions
        self.held_bytes = [0 for _ in LANES]
        """Size of the values that were read and are not done, by lane."""
        self._arrived = list(positions)
        self.quarantine: Quarantine | None = None
        """What is suspected of its records; None as long as no owner of it has died."""
        self.out = 0
        """Jobs that were dispatched and are not settled: running, unflushed or unrecorded."""
        self.leaving = False
        """It is being let go: nothing new is dispatched."""
        self.lost = False
        """Another token stands: nothing more is written about its jobs."""

    @property
    def number(self) -> int:
        """The partition."""
        return self.fence.partition

    @property
    def open(self) -> bool:
        """Whether jobs of it may be fetched and dispatched."""
        return not (self.leaving or self.lost)

    def unfinished(self, lane: Priority, look_ahead: int) -> tuple[int, int]:
        """How many records of a lane are read and not done, and how many may be.

        `look_ahead` as long as nothing is suspected.
        """
        position = self.positions[lane]
        if self.quarantine is None:
            return position.unfinished, look_ahead
        return position.unfinished, self.quarantine.bound(lane, position.next, look_ahead)

    def position(self, lane: Priority) -> Position:
        """Where a lane stands."""
        return self.positions[lane]

    def arrived(self, lane: Priority) -> int:
        """The offset below which every record of a lane is in a mailbox, or further."""
        return self._arrived[lane]

    def has_arrived(self, lane: Priority) -> None:
        """Everything that was read of a lane is in a mailbox, or further."""
        self._arrived[lane] = self.positions[lane].fetched

    def accept(self, lane: Priority, offset: int, size: int) -> None:
        """Take note of a record that was read."""
        self.positions[lane].accept(offset)
        self.held_bytes[lane] += size

    def done(self, lane: Priority, offset: int, size: int) -> None:
        """Take note that a record is done."""
        self.positions[lane].done(offset)
        self.held_bytes[lane] -= size

    def move(self) -> Move | None:
        """What is to be written of the positions; None where they have not moved."""
        now: Positions = (
            self.positions[0].next,
            self.positions[1].next,
            self.positions[2].next,
            self.positions[3].next,
        )
        return None if now == self.written else Move(self.fence, self.written, now)

    def final_move(self) -> Move:
        """The last positions, moved or not."""
        return self.move() or Move(self.fence, self.written, self.written)
