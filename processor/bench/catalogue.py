"""Which questions are there?

Take-over after a kill and the stand-still at a rebalance have their place at the end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from processor.bench.application import CORE, NOTHING, ORM, RAW
from processor.bench.draining import drain
from processor.bench.projecting import project
from processor.bench.question import Question
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS: Final = (
    Question("W1", "no database", 100_000, partial(drain, workload=NOTHING), warm=20_000),
    Question("W2.raw", "one INSERT, asyncpg", 30_000, partial(drain, workload=RAW)),
    Question("W2.core", "one INSERT, SQLAlchemy Core", 20_000, partial(drain, workload=CORE)),
    Question("W2.orm", "one INSERT, SQLAlchemy ORM", 10_000, partial(drain, workload=ORM)),
    Question("projector", "the projector alone", 200_000, project, warm=20_000),
)


def chosen(names: Sequence[str]) -> list[Question]:
    """The questions of these names, all without one; `W2` are all that begin so.

    Raises `ConfigurationError` for a name that is none.
    """
    for name in names:
        if not any(_meant(question, name) for question in QUESTIONS):
            known = ", ".join(question.name for question in QUESTIONS)
            raise ConfigurationError(f"{name!r} is no benchmark; there are {known}")
    return [
        question
        for question in QUESTIONS
        if not names or any(_meant(question, name) for name in names)
    ]


def _meant(question: Question, name: str) -> bool:
    whole, given = question.name.lower(), name.lower()
    return whole == given or whole.startswith(f"{given}.")
