"""Do a user's own handlers keep every promise, in runs of the whole system that chance plans?"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from processor.domain.errors import ConfigurationError
from processor.domain.events import Completed, Failed
from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.runtime.checking import check
from processor.runtime.handlers import Jobs
from processor.testing.naming import CODEC, TOPICS
from processor.testing.recording import Recording
from processor.testing.simulation.committing import commits, keep, wrong_commits
from processor.testing.simulation.invariants import STATES
from processor.testing.simulation.plan import Chances
from processor.testing.simulation.running import Simulation
from processor.testing.virtual_time import check_no_loop_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.adapters.memory.transactions import Lend
    from processor.domain.ids import JobId
    from processor.domain.job import State
    from processor.domain.submission import SubmissionRecord
    from processor.runtime.submission import Submission
    from processor.testing.operated import OperatedCluster
    from processor.testing.recording import Call
    from processor.testing.simulation.plan import Plan

    Make = Callable[[], object]

SEEDS: Final = range(100)
PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job at the end of a run, as its newest generation came to an end."""

    id: JobId
    type: str
    entity: str
    payload: Any
    """As JSON has it."""
    state: State
    result: Any
    """As `client.result` would give it; None where it is not complete."""
    reason: str | None
    """Why it failed."""
    parent: JobId | None
    """The job whose handler submitted it."""
    committed: tuple[Call, ...]
    """What its handler called on `request.session()` and `request.connection()`, in the one
    transaction that was committed; nothing where none was."""


Effects = Callable[[Sequence[SimulatedJob]], None]


def simulate(
    jobs: Jobs | Callable[[], Jobs],
    submissions: Iterable[Submission],
    *,
    seeds: Iterable[int] = SEEDS,
    effects: Effects | None = None,
    session: Make | None = None,
    connection: Make | None = None,
    patience: float = PATIENCE,
) -> int:
    """Work these submissions in a run of the whole system for each seed; how many runs that were.

    In memory and in virtual time: clients, workers, projectors and operators. A run submits all of
    them in their order, each under a new id unless a dedupe key makes it; its seed decides when,
    how long every call takes, and what goes wrong meanwhile: processes die, freeze and are cut off,
    answers are lost, records come twice, the database is away or forgets its last seconds, jobs are
    held, cancelled and replayed. Then every promise is checked, and `effects` is called with all
    the jobs, also those that handlers submitted, and raises `AssertionError` for what is wrong.

    `session` and `connection` are called for each transaction and give what handlers write through,
    as for `crash_everywhere`. Functions called instead of `jobs` make them anew for each run.
    `patience`: seconds of a run's own time in which all must end once nothing goes wrong any more.
    Raises `AssertionError` with the seed, which repeats it alone, what is broken, and the shortest
    run that still breaks it.
    """
    check_no_loop_runs("simulate")
    drafts = [_checked(number, one) for number, one in enumerate(submissions)]
    if not drafts:
        raise ConfigurationError("simulate needs at least one submission to work")
    simulation = Simulation(
        jobs if callable(jobs) else lambda: jobs,
        Chances(drafts=drafts),
        patience=patience,
        effects=partial(_wrong, effects=effects),
        lend=partial(_lend, session, connection),
    )
    runs = 0
    for seed in seeds:
        runs += 1
        run = simulation.seed(seed)
        if run.violations:
            raise AssertionError(
                f"a promise broke in the run of seed {seed}; seeds=[{seed}] repeats it. The"
                f" shortest run that still breaks one:\n{simulation.shrunk(run)}"
            )
    return runs


def _checked(number: int, submission: Submission) -> Submission:
    check(submission, number)
    if submission.not_before is not None:
        raise ConfigurationError(
            f"submission number {number} has a not_before: leave it out, a run has a time of its"
            " own and schedules some by chance"
        )
    return submission


def _lend(session: Make | None, connection: Make | None, cluster: OperatedCluster) -> Lend:
    return Recording(session, connection, partial(keep, cluster.database)).lend


def _wrong(cluster: OperatedCluster, _: Plan, *, effects: Effects | None) -> Iterator[str]:
    yield from wrong_commits(cluster)
    if effects is None:
        return
    try:
        effects(list(_jobs(cluster)))
    except AssertionError as wrong:
        at = traceback.extract_tb(wrong.__traceback__)[-1]
        yield f"{str(wrong) or at.line} ({at.filename}:{at.lineno})"


def _jobs(cluster: OperatedCluster) -> Iterator[SimulatedJob]:
    """All that have ended, in the order in which the log has them."""
    newest = dict(sorted(cluster.database.ledger))  # the last generation of a job wins
    committed = {one.job: one.calls for one in commits(cluster)}
    for record in _records(cluster).values():
        if (generation := newest.get(record.job)) is None:
            continue
        end = cluster.outcome(record.job, generation).end
        yield SimulatedJob(
            record.job,
            record.type,
            record.entity,
            from_json(record.payload),
            STATES[cluster.database.ledger[record.job, generation].ending],
            from_json(end.result) if isinstance(end, Completed) else None,
            str(end.reason) if isinstance(end, Failed) else None,
            record.parent,
            committed.get(record.job, ()),
        )


def _records(cluster: OperatedCluster) -> dict[JobId, SubmissionRecord]:
    """By job the record that came first."""
    found: dict[JobId, SubmissionRecord] = {}
    partitions = cluster.topics.partitions
    places = [Place(TOPICS.lane(lane), n) for lane in LANES for n in range(cluster.partitions)]
    every = [one for place in places for one in partitions[place].records]
    for one in sorted(every, key=lambda one: one.timestamp):
        record = CODEC.decode_submission(one.value or b"")
        found.setdefault(record.job, record)
    return found
