"""What is to be done to many dead letters, and how far has it come?

A plan's letters are chosen once, when it is made, and taken in an order that is, within an entity,
that of the log. One process at a time runs a plan, under a lease; whatever it has done is marked,
so that the next one goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.domain.priority import Priority
    from processor.domain.selection import Selection
    from processor.ports.operations import OperationKind
    from processor.ports.projection import LetterRow

CANARY: Final = "the canary"
"""By whom a plan was stopped whose first replays failed."""


class PlanState(StrEnum):
    """Where a plan is."""

    RUNNING = "running"
    STOPPED = "stopped"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody plans."""

    kind: OperationKind
    """A replay or a discard."""
    selection: Selection
    by: str
    because: str
    priority: Priority | None = None
    """The lane, instead of each job's own."""
    rate: float | None = None
    """Letters a second, at most."""
    canary: int | None = None
    """So many first; their ends decide whether the others follow."""
    stop_above: float | None = None
    """The share of a canary that may fail: 0.1 is 10 %."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it stands. Times in microseconds since the epoch, by the database's clock."""

    id: int
    draft: Draft
    at: int
    letters: int
    state: PlanState
    done: int
    """Letters replayed, or discarded."""
    refused: int
    """Letters to which nothing could be done."""
    canary_upto: int | None = None
    """While a canary decides: the turn of its last letter; None: there is none, or it passed."""
    runner: str | None = None
    """Who runs it now: a process."""
    ended_by: str | None = None
    ended_because: str | None = None
    ended_at: int | None = None

    @property
    def left(self) -> int:
        """Letters that were not taken yet."""
        return self.letters - self.done - self.refused

    @property
    def kind(self) -> OperationKind:
        """What is done to each letter."""
        return self.draft.kind

    @property
    def selection(self) -> Selection:
        """What chose the letters."""
        return self.draft.selection


class Turn(NamedTuple):
    """A letter of a plan that was not taken yet."""

    number: int
    """From 1, in the order of the plan."""
    letter: LetterRow | None
    """As it stands now; None where it is known no more."""


class Done(NamedTuple):
    """What became of a letter."""

    number: int
    started: int | None
    """The generation that was started, or that stands for the discard; None: it was refused."""
    refused: str | None = None


class Ends(NamedTuple):
    """What the jobs of a canary came to."""

    replayed: int
    failed: int
    waiting: int
    """Jobs that have not ended."""

    def decide(self, most: float) -> bool | None:
        """Whether the others may follow, where no more than that share may fail; None: not yet."""
        if self.failed > most * self.replayed:
            return False
        return None if self.waiting else True


class Plans(Protocol):
    """The plans. Every method raises `Fault` where nothing answers."""

    async def make(self, draft: Draft, expected: int | None = None) -> Plan | int:
        """Choose its letters and write it down, with whom and why, all or nothing.

        Where it chose none, or another number than expected, nothing is written: the number.
        """
        ...

    async def of(self, plan: int) -> Plan | None:
        """One plan."""
        ...

    async def recent(self, limit: int) -> list[Plan]:
        """The newest first."""
        ...

    async def stop(self, plan: int, by: str, because: str) -> bool:
        """Stop a plan that runs, and write down who did; False for one that does not."""
        ...

    async def resume(self, plan: int, by: str, because: str) -> bool:
        """Let a stopped plan go on; after a failed canary with as large a canary of the next."""
        ...


class PlanRuns(Protocol):
    """What whoever runs a plan asks for. Every method raises `Fault` where nothing answers."""

    async def lease(self, plan: int, runner: UUID, name: str, seconds: float) -> bool:
        """Take or keep a plan that runs; False where another holds it, or it does not run."""
        ...

    async def let_go(self, plan: int, runner: UUID) -> None:
        """Give a lease back, if it is still mine."""
        ...

    async def free(self) -> list[int]:
        """Plans that run and that nobody holds."""
        ...

    async def next(self, plan: int, limit: int, upto: int | None) -> list[Turn]:
        """The next letters of a plan, in its order, up to a turn where one is named."""
        ...

    async def mark(self, plan: int, done: Sequence[Done]) -> None:
        """Write down what became of letters; what is marked stays as it is."""
        ...

    async def ends(self, plan: int, canary: int, upto: int) -> Ends:
        """What the last `canary` letters up to a turn came to."""
        ...

    async def pass_canary(self, plan: int) -> None:
        """Let the others follow."""
        ...

    async def finish(self, plan: int) -> None:
        """Nothing of a plan that runs is left."""
        ...
