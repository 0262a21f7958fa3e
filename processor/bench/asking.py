"""How are the questions asked, one after the other?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from processor.bench.comparing import Comparison, comparable, comparisons
from processor.bench.peers.peer import find
from processor.bench.profiling import format_of, sampler
from processor.bench.question import Answer, Manner, Round, warm_up

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.question import Question

Asked = Callable[["Ground"], AsyncIterator[Answer | Comparison]]


def asked(chosen: Sequence[Question], manner: Manner, against: str | None, *, named: bool) -> Asked:
    """How these questions are asked; raises `ConfigurationError` where they cannot be."""
    if manner.profile is not None:
        format_of(manner.profile)
        sampler()
    if against is None:
        return partial(answers, chosen=chosen, manner=manner)
    known = find(against)
    able = comparable(chosen, known, named=named)
    return partial(comparisons, chosen=able, known=known, manner=manner)


async def answers(
    ground: Ground, chosen: Sequence[Question], manner: Manner
) -> AsyncIterator[Answer]:
    """Ask each as often as wanted, after a round that warms up."""
    for question in chosen:
        wanted = manner.wanted(question)
        await warm_up(ground, question, wanted)
        rounds: list[Round] = []
        for number in range(manner.repeat):
            ground.show.begin(f"{question.name}, round {number + 1} of {manner.repeat}")
            rounds.append(await question.ask(ground, wanted))
        yield Answer(question, wanted, rounds)
