"""What is asked, how is it asked, and what is answered?

A question is measured in rounds. Each has a namespace of topics and a database of its own, and
begins with nothing in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.metering import Taken


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a round is to be run."""

    jobs: int
    workers: int = 1
    profile: Path | None = None
    """Where a CPU profile of the first worker goes."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found."""

    jobs: int
    """How many jobs `figures` and `cpu` are about."""
    figures: Mapping[str, float]
    """By unit; the first is what the question asks for."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds for 1,000 jobs, by process."""
    memory: Mapping[str, float] = field(default_factory=dict)
    """MiB when the work was over, by process."""
    others: float = 0.0
    """Cores that were busy with anything else; beside a busy one a figure says nothing."""

    @classmethod
    def of(cls, jobs: int, figures: Mapping[str, float], taken: Taken, counted: float) -> Self:
        """With what was taken for `counted` of the jobs."""
        cpu, memory = taken.per_thousand(counted), taken.memory
        return cls(jobs, figures, cpu, memory, taken.others)


@dataclass(frozen=True, slots=True)
class Question:
    """One line of the report."""

    name: str
    what: str
    jobs: int
    """How many are worked, unless the command line says otherwise."""
    ask: Callable[[Ground, Wanted], Awaitable[Round]]
    warm: int = 5_000
    """Jobs of the round before the first, which nobody measures; 0 for none."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What the command line asks for, of every question."""

    jobs: int | None = None
    """Instead of each question's own number."""
    workers: int = 1
    repeat: int = 2
    profile: Path | None = None

    def wanted(self, question: Question) -> Wanted:
        """How a round of this question is to be run."""
        return Wanted(self.jobs or question.jobs, self.workers, self.profile)


async def warm_up(ground: Ground, question: Question, wanted: Wanted) -> None:
    """Ask for few jobs, and forget the answer; not before a round that is as small itself."""
    if not 0 < question.warm < wanted.jobs:
        return
    ground.show.begin(f"{question.name}, warming up")
    await question.ask(ground, replace(wanted, jobs=question.warm, workers=1, profile=None))


@dataclass(frozen=True, slots=True)
class Answer:
    """All rounds of a question."""

    question: Question
    wanted: Wanted
    rounds: Sequence[Round]

    def median(self, of: Callable[[Round], Mapping[str, float]]) -> dict[str, float]:
        """The median over the rounds of each figure."""
        return {name: median(of(one)[name] for one in self.rounds) for name in of(self.rounds[0])}

    def spread(self, name: str) -> tuple[float, float]:
        """The lowest and the highest of a figure."""
        found = [one.figures[name] for one in self.rounds]
        return min(found), max(found)
