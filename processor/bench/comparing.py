"""How do we stand beside another system, asked in turns in the same run?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from processor.bench.peers.doing import ASKED, jobs_of, questions
from processor.bench.question import Answer, Round, warm_up
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.peers.peer import Known
    from processor.bench.question import Manner, Question


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rounds of both, ours and theirs in turns."""

    peer: str
    ours: Answer
    theirs: Answer

    def ratios(self, figure: str) -> list[float]:
        """Ours by theirs, of each pair of rounds."""
        pairs = zip(self.ours.rounds, self.theirs.rounds, strict=True)
        return [one.figures[figure] / other.figures[figure] for one, other in pairs]

    def median(self) -> dict[str, float]:
        """The median ratio of each figure."""
        return {figure: median(self.ratios(figure)) for figure in self.theirs.rounds[0].figures}


def comparable(chosen: Sequence[Question], known: Known, *, named: bool) -> list[Question]:
    """Those of the questions that the peer can be asked.

    Raises `ConfigurationError` where one was `named` that it cannot.
    """
    theirs = questions(known, chosen)
    able = [one for one in chosen if one.name in theirs]
    if named and len(able) < len(chosen):
        unable = next(one.name for one in chosen if one.name not in theirs)
        raise ConfigurationError(
            f"{known.name} cannot be asked {unable}; it can be asked {', '.join(ASKED)}"
        )
    return able


async def comparisons(
    ground: Ground, chosen: Sequence[Question], known: Known, manner: Manner
) -> AsyncIterator[Comparison]:
    """Ask both in turns: ours, theirs, ours, theirs."""
    asked = questions(known, chosen)
    for question in chosen:
        theirs = asked[question.name]
        wanted = replace(manner.wanted(question), profile=None)
        await warm_up(ground, question, wanted)
        part = replace(wanted, jobs=jobs_of(question.name, wanted.jobs, known))
        await warm_up(ground, theirs, part)
        ours, others = list[Round](), list[Round]()
        for number in range(manner.repeat):
            of = f"round {number + 1} of {manner.repeat}"
            ground.show.begin(f"{question.name} ours, {of}")
            ours.append(await question.ask(ground, wanted))
            ground.show.begin(f"{question.name} theirs, {of}")
            others.append(await theirs.ask(ground, part))
        yield Comparison(known.title, Answer(question, wanted, ours), Answer(theirs, part, others))
