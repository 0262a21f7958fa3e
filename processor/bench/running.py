"""How are the questions asked, one after the other?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from processor.bench.question import Answer, Round, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from processor.bench.ground import Ground
    from processor.bench.question import Question


@dataclass(frozen=True, slots=True)
class Manner:
    """What the command line asks for, of every question."""

    jobs: int | None = None
    """Instead of each question's own number."""
    workers: int = 1
    repeat: int = 2
    profile: Path | None = None


async def answers(
    ground: Ground, questions: Sequence[Question], manner: Manner
) -> AsyncIterator[Answer]:
    """Ask each as often as wanted, after a round that warms up."""
    for question in questions:
        wanted = Wanted(manner.jobs or question.jobs, manner.workers, manner.profile)
        await _warm_up(ground, question, wanted)
        rounds: list[Round] = []
        for number in range(manner.repeat):
            ground.show.begin(f"{question.name}, round {number + 1} of {manner.repeat}")
            rounds.append(await question.ask(ground, wanted))
        yield Answer(question, wanted, rounds)


async def _warm_up(ground: Ground, question: Question, wanted: Wanted) -> None:
    jobs = min(question.warm, wanted.jobs)
    if jobs:
        ground.show.begin(f"{question.name}, warming up")
        await question.ask(ground, replace(wanted, jobs=jobs, workers=1, profile=None))
