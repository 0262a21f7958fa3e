"""Which questions are there?

Another way of doing the same work is another line here. How long work stands still after a death or
at a rebalance is told by `processor chaos --measure`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from processor.bench.application import (
    BATCH,
    CORE,
    CORE_GROUPED,
    NOTHING,
    ORM,
    ORM_GROUPED,
    RAW,
    RAW_GROUPED,
)
from processor.bench.draining import drain
from processor.bench.flooding import flood
from processor.bench.latency import wait
from processor.bench.pipelining import pipeline
from processor.bench.projecting import project
from processor.bench.question import Question
from processor.bench.rebuilding import rebuild
from processor.bench.scaling import drain_beside_ended as beside_ended
from processor.bench.scaling import drain_beside_waiting as beside_waiting
from processor.bench.scaling import idle
from processor.bench.submitting import submit_many
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MILLION: Final = 1_000_000

QUESTIONS: Final = (
    Question("W1", "no database", 100_000, partial(drain, workload=NOTHING), warm=20_000),
    Question("W2.raw", "one INSERT, asyncpg", 30_000, partial(drain, workload=RAW)),
    Question("W2.core", "one INSERT, SQLAlchemy Core", 20_000, partial(drain, workload=CORE)),
    Question("W2.orm", "one INSERT, SQLAlchemy ORM", 10_000, partial(drain, workload=ORM)),
    Question("W2.raw-grouped", "the same, grouped", 60_000, partial(drain, workload=RAW_GROUPED)),
    Question("W2.core-grouped", "the same, grouped", 40_000, partial(drain, workload=CORE_GROUPED)),
    Question("W2.orm-grouped", "the same, grouped", 20_000, partial(drain, workload=ORM_GROUPED)),
    Question("W2.batch", "ORM, a batch handler", 60_000, partial(drain, workload=BATCH)),
    Question("W3", "idle latency, 50 jobs a second", 1_000, wait, warm=100),
    Question("W4", "20 critical a second over a flood", 500_000, partial(flood, workload=NOTHING)),
    Question(
        "W4.raw",
        "20 critical a second over a flood of INSERTs",
        60_000,
        partial(flood, workload=RAW),
    ),
    Question("W5", "submit many", 200_000, submit_many, warm=50_000),
    Question(
        "pipeline",
        "no database, until the history is complete",
        100_000,
        partial(pipeline, workload=NOTHING),
        warm=20_000,
    ),
    Question(
        "pipeline.raw",
        "one INSERT, until the history is complete",
        30_000,
        partial(pipeline, workload=RAW),
    ),
    Question(
        "pipeline.raw-grouped",
        "one INSERT, grouped, until the history is complete",
        60_000,
        partial(pipeline, workload=RAW_GROUPED),
    ),
    Question("projector", "the projector alone", 200_000, project, warm=20_000),
    Question("rebuild", "the history of so many jobs", 1_000_000, rebuild, warm=20_000),
)

SCALES: Final = (
    Question("scale.ended-1M", "beside ended jobs", 20_000, partial(beside_ended, ended=MILLION)),
    Question(
        "scale.ended-20M",
        "beside ended jobs",
        20_000,
        partial(beside_ended, ended=20 * MILLION),
        warm=0,
    ),
    Question(
        "scale.waiting-10k", "beside waiting", 20_000, partial(beside_waiting, waiting=10_000)
    ),
    Question(
        "scale.waiting-1M",
        "beside waiting",
        20_000,
        partial(beside_waiting, waiting=MILLION),
        warm=0,
    ),
    Question("scale.idle", "a worker without work", 1, idle, warm=0),
)
"""Asked by name only: they fill gigabytes."""
EVERY: Final = (*QUESTIONS, *SCALES)


def chosen(names: Sequence[str]) -> list[Question]:
    """The questions of these names; `W2` is no name, so it is all of `W2.…`.

    Without a name all but the scales.

    Raises `ConfigurationError` for a name of none.
    """
    if not names:
        return list(QUESTIONS)
    found: list[Question] = []
    for name in names:
        meant = _meant(name.lower())
        if not meant:
            known = ", ".join(question.name for question in EVERY)
            raise ConfigurationError(f"{name!r} is no benchmark; there are {known}")
        found += [question for question in meant if question not in found]
    return found


def _meant(name: str) -> list[Question]:
    exactly = [question for question in EVERY if question.name.lower() == name]
    return exactly or [one for one in EVERY if one.name.lower().startswith(f"{name}.")]
