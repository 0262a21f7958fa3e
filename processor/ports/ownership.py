"""Who does own a partition, and where do its positions stand?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from processor.domain.quarantine import Suspect

Positions = tuple[int, int, int, int]
"""Next offset that is not done, by lane: critical, high, normal, low."""


class Fence(NamedTuple):
    """The right to write about a partition's jobs: void once another token stands there."""

    partition: int
    token: UUID


@dataclass(frozen=True, slots=True)
class Owner:
    """One ownership row."""

    partition: int
    token: UUID | None
    worker: UUID | None
    released: bool
    unclean: int
    """Workers that died owning it since the partition was last calm."""
    positions: Positions
    epoch: int = 0
    """For logs only."""
    suspect_until: Positions | None = None
    """How far the lanes were read since the first of these deaths; None where nobody died."""
    suspects: tuple[Suspect, ...] = ()
    """The records under suspicion, as `take` finds them where somebody died."""


class Move(NamedTuple):
    """New positions of a partition, written only where the token and the old ones stand."""

    fence: Fence
    before: Positions
    after: Positions


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's sign of life: a counter, never a time."""

    beat: int
    leaving: bool


class Ownership(Protocol):
    """The rows beside the ledger that say who owns what."""

    async def owners(self, partitions: Collection[int]) -> Mapping[int, Owner]:
        """The rows as they stand."""
        ...

    async def take(self, seen: Owner, token: UUID, worker: UUID, *, unclean: bool) -> Owner | None:
        """Put a new token where `seen`'s still stands; None where another came first.

        `unclean` says that the last owner is dead. That counts against the partition, and against
        the record that was its one suspect, unless it had released, said that it leaves, or gone.
        """
        ...

    async def advance(self, moves: Sequence[Move]) -> set[int]:
        """Write positions, all in one statement; the partitions whose row still was as `before`."""
        ...

    async def release(self, move: Move) -> bool:
        """Write the last positions and let go; False where the partition is no longer ours."""
        ...


class Workers(Protocol):
    """Signs of life of every worker."""

    async def join(self, worker: UUID, release: str, types: Collection[str]) -> None:
        """Make this worker known, with the types it has handlers for."""
        ...

    async def beat(self, worker: UUID) -> Mapping[UUID, Beat]:
        """Count this worker's beat up and read everybody's."""
        ...

    async def leave(self, worker: UUID) -> None:
        """Say that deaths of this worker from now on mean nothing."""
        ...

    async def part(self, worker: UUID) -> None:
        """Forget this worker: it has let go of everything."""
        ...
