"""What does forgetting ask of the database?

Days are counted since the epoch, moments are microseconds since then: nothing here asks the
database for the time, so that tests can move it. Every method raises `Fault` when the database
cannot be reached; the caller repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from processor.ports.log import Place


class Office(Protocol):
    """Something that at most one process does at a time."""

    async def held(self) -> bool:
        """Whether this process holds the office now; where nobody does, it takes it.

        It is lost with the connection to the database, so ask again before each piece of work.
        """
        ...

    def leave(self) -> None:
        """Give it up, if it is held."""
        ...


class Horizon(Protocol):
    """What stood at some moment of each day."""

    async def remember(self, day: int, standing: Mapping[Place, int]) -> None:
        """Keep what stands on a day; what is kept of that day already stays."""
        ...

    async def days(self) -> Mapping[Place, Mapping[int, int]]:
        """Everything kept, by day."""
        ...

    async def forget(self, before: Mapping[Place, int]) -> None:
        """Drop the days of each place that came before one."""
        ...


class ReadSide(Protocol):
    """How far the projections have come."""

    async def checkpoints(self) -> Mapping[Place, Mapping[str, int]]:
        """By place and projection the next offset that is not read."""
        ...

    async def open_letters(self) -> Mapping[int, int]:
        """By partition the first fact of the oldest dead letter that is open."""
        ...


class LedgerPruning(Protocol):
    """Forgets ends."""

    def prune(self, before: Mapping[int, int], limit: int) -> AsyncIterator[int]:
        """Delete the rows of each partition that ended before a moment, in batches of `limit`.

        Yields how many each batch deleted; between two nothing is held. A job that waits keeps all
        its rows.
        """
        ...


class Ended(NamedTuple):
    """An end in the history."""

    at: int
    job: bytes


class HistoryPruning(Protocol):
    """Forgets what projections hold of jobs that are over."""

    async def ended(self, before: int, after: Ended | None, limit: int) -> list[Ended]:
        """The next ends before a moment, in order; a job may have several."""
        ...

    async def forget(self, jobs: Sequence[bytes], before: int) -> int:
        """Delete the history of those jobs that are over; how many rows.

        Over: the newest generation ended before that moment, no end is later, and no dead letter
        is open, nor closed by a generation that the history does not hold yet.
        """
        ...

    async def forget_live(self, before: int, after: bytes | None, limit: int) -> bytes | None:
        """Look at the next live rows; delete those of ended jobs and, if older, of unknown ones.

        The last job looked at; None when there are no more.
        """
        ...

    async def forget_letters(self, starts: Mapping[int, int], limit: int) -> int:
        """Delete closed letters whose every fact is below its partition's start; how many."""
        ...
