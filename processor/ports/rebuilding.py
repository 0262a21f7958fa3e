"""How does a second set of the projections' tables come to be, and take the place of the first?

The second set's checkpoints stand beside the first's under names of their own, where a janitor sees
them. Every method raises `Fault` when the database cannot be reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from processor.ports.log import Place
    from processor.ports.projection import Projections

PREFIX: Final = "rebuild:"
"""A rebuild's checkpoints are kept under this and the projection's name."""


class Start(NamedTuple):
    """Where the log began to be folded again."""

    offset: int
    at: int
    """When the record there was appended; 0 where nothing was cut, the last moment where all was.
    """


class Difference(NamedTuple):
    """A row that the log and the tables do not agree on."""

    table: str
    row: str
    """What names it."""
    what: str


@dataclass(frozen=True, slots=True)
class Completed:
    """What the log alone could not tell."""

    copied: int
    """Jobs that reach further back than the log, copied from the tables as they are."""
    forgotten: int
    """Jobs that the log still tells of and the history has rightly forgotten, left out."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the two sets say of what both have read."""

    rows: int
    """How many were compared."""
    different: int
    differences: Sequence[Difference]
    """The first of them."""


class Rebuilding(Protocol):
    """The second set; one at a time, which an office sees to."""

    async def prepare(self) -> Projections:
        """Make it, empty, in the place of one that was left behind."""
        ...

    async def complete(self, starts: Mapping[Place, Start], before: int) -> Completed:
        """Copy what reaches further back than the log; leave out what is rightly forgotten.

        That is what ended before a moment, and what ended in a part of the log that was cut.
        Nobody may write to the set meanwhile.
        """
        ...

    async def compare(self, shown: int) -> Comparison:
        """Compare what both sets have read, but for what was copied."""
        ...

    async def replace(
        self, passed: Callable[[Mapping[str, Mapping[Place, int]]], Awaitable[bool]]
    ) -> bool:
        """Put the set in the first's place, in one transaction that holds its checkpoints still.

        `passed` is told where those stand, by projection, and answers within seconds whether the
        set has read as far and nobody writes to it any more; False: nothing has changed.
        """
        ...

    async def abandon(self) -> None:
        """Drop it, if it is there, and its checkpoints."""
        ...
