"""What is held against the records of a partition whose owners died?

Deaths themselves are counted by `Ownership.take`, in the transaction that takes over. Every method
raises `Fault` when the database cannot be reached; the caller repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.priority import Priority
    from processor.ports.ownership import Fence, Positions


class Mark(NamedTuple):
    """That a worker is about to decode or run a record which may kill it."""

    worker: UUID
    lane: Priority
    offset: int
    alone: bool
    """It is this worker's one suspect: should it die, that counts against the record. Otherwise
    the record only becomes a suspect."""
    decoding: bool = False


class Suspects(Protocol):
    """Marks that outlive their worker."""

    async def reach(self, fence: Fence, reached: Positions) -> bool:
        """Note that the lanes will be read up to there, never back; False where fenced."""
        ...

    async def mark(self, fence: Fence, mark: Mark) -> bool:
        """Set a mark before the record is touched; deaths counted before stay. False: fenced."""
        ...

    async def clear(self, partition: int, mark: Mark, *, forget: bool = False) -> None:
        """Take the mark off, if this worker's stands.

        Deaths that were counted before stay, unless the record has ended for good: then `forget`
        whatever is held against it, whoever marked it last.
        """
        ...

    async def calm(self, fence: Fence) -> bool:
        """Forget deaths, marks and how far was read; False while that would be too early.

        So it is where fenced, and while a row that was written under another token could run now:
        not one that is held, blocking, due later, or queued behind its entity's head.
        """
        ...
