"""What does the history say of one job?

`merge` puts one job's records in order, by (generation, timeline, index) and never by time, and
drops copies; `fold` runs them through the same `evolve` that the worker uses. Any permutation of
the records, with any duplicates, gives the same status, and no record makes either raise.

What does not count is marked void and still told:
- Of a generation's timelines the last one stands: a failover undid what the earlier ones have and
  the last one has not carried over.
- A complete or cancelled generation absorbs the later ones; a discarded one never began.
- Ephemeral records are left out once an outcome of their generation has as many runs, or ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from processor.domain.errors import IllegalTransition
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Progressed,
    Queued,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import event_id
from processor.domain.job import Job, State, evolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from processor.domain.events import Durable, Event
    from processor.domain.ids import JobId
    from processor.domain.outcome import Outcome
    from processor.domain.submission import Trace

    _Fact = tuple[int, "Durable | tuple[int, int, int]"]

BEFORE_ALL: Final = -1


@dataclass(frozen=True, slots=True)
class Live:
    """What a running job told of itself before its outcome: ephemeral, without index or id."""

    job: JobId
    generation: int
    started: Started
    progress: Progressed | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of a job's history."""

    generation: int
    timeline: int
    """0 for `Queued` and for ephemeral events, which belong to no database."""
    index: int
    """Place within the generation's outcome; -1 for `Queued` and for ephemeral events."""
    event: Event
    id: UUID | None = None
    """None for `Queued`, which its place in the log names, and for ephemeral events."""
    void: bool = False
    """It does not count: a failover undid it, or an earlier generation had ended the job."""
    inferred: bool = False
    """The lane's record is not projected yet; its outcome tells where it stands, not when."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The fold of one job's records."""

    job_id: JobId
    current: Job
    type: str
    """Empty while nothing is known but that the job runs."""
    entity: str
    tenant: str | None
    batch: UUID | None
    history: tuple[Transition, ...]
    as_of: int | None = None
    """When the submission was acknowledged, where only the client's own word is known yet."""
    waits_for: str | None = None
    """What keeps it from running apart from its turn in its lane, in words: a hold, a handler,
    its entity, an operator."""

    @property
    def state(self) -> State:
        """Where the job is in its life."""
        return self.current.state

    @property
    def generation(self) -> int:
        """1, or one more for each replay."""
        return self.current.generation

    @property
    def attempts(self) -> int:
        """How many attempts this generation has begun."""
        return self.current.attempt

    @property
    def result(self) -> bytes | None:
        """The handler's result as JSON; None until the job is complete."""
        return self.current.result

    @property
    def trace(self) -> Trace | None:
        """The trace of the newest attempt, else that of the submission."""
        return self.current.trace


def status_of(
    job: JobId, queued: Iterable[Queued], outcomes: Iterable[Outcome], live: Iterable[Live] = ()
) -> JobStatus | None:
    """What is known of a job; None where nothing is."""
    history = merge(queued, outcomes, live)
    current = fold(history)
    if current is None:
        return None
    first = next(one.event for one in history if isinstance(one.event, Queued))
    return JobStatus(job, current, first.type, first.entity, first.tenant, first.batch, history)


def fold(history: Iterable[Transition]) -> Job | None:
    """The job after all transitions that count; None where none began it.

    A generation begins anew whatever came before: its record proves that the earlier one ended,
    also where that end cannot be read. A step that does not fit changes nothing.
    """
    job: Job | None = None
    for transition in history:
        if transition.void:
            continue
        before = None if isinstance(transition.event, Queued) else job
        try:
            job = evolve(before, transition.event)
        except IllegalTransition:
            continue
    return job


def merge(
    queued: Iterable[Queued], outcomes: Iterable[Outcome], live: Iterable[Live] = ()
) -> tuple[Transition, ...]:
    """One job's transitions in order, each once.

    Two outcomes of one generation, timeline and number of events are copies of each other.
    """
    records: dict[int, _Generation] = {}
    for event in queued:
        records.setdefault(event.generation, _Generation([], [], [])).queued.append(event)
    for outcome in outcomes:
        records.setdefault(outcome.generation, _Generation([], [], [])).outcomes.append(outcome)
    for one in live:
        records.setdefault(one.generation, _Generation([], [], [])).live.append(one)
    history: list[Transition] = []
    absorbed = False
    for _, generation in sorted(records.items()):
        transitions = _transitions(generation, follows=bool(history))
        if absorbed:
            transitions = [replace(one, void=True) for one in transitions]
        absorbed = absorbed or any(
            isinstance(one.event, Completed | Cancelled) and not one.void for one in transitions
        )
        history += transitions
    return tuple(history)


@dataclass(frozen=True, slots=True)
class _Generation:
    queued: list[Queued]
    outcomes: list[Outcome]
    live: list[Live]


def _transitions(of: _Generation, *, follows: bool) -> list[Transition]:
    recorded = _recorded(of.outcomes)
    running = _running(of)
    if follows and any(isinstance(one.event, Discarded) and not one.void for one in recorded):
        return recorded
    if of.queued:
        event = _executed(of)
        first = Transition(event.generation, 0, BEFORE_ALL, event)
    else:
        event = _inferred(of)
        first = Transition(event.generation, 0, BEFORE_ALL, event, inferred=True)
    return [first, *recorded, *running]


def _executed(of: _Generation) -> Queued:
    """The record that was executed, where an outcome names it; else the one appended first."""
    known = max(of.outcomes, key=_standing, default=None)
    named = (known.lane, known.partition, known.offset) if known else None

    def rank(one: Queued) -> tuple[bool, int, int, int, int]:
        unnamed = (one.lane, one.partition, one.offset) != named
        return unnamed, one.at, one.lane, one.partition, one.offset

    return min(of.queued, key=rank)


def _inferred(of: _Generation) -> Queued:
    """What an outcome, else a live record, tells of a submission that is not projected yet."""
    if of.outcomes:
        known = max(of.outcomes, key=_standing)
        times = (event.at for event in known.events if not isinstance(event, Unknown))
        at = min(times, default=0)
        return Queued(
            at,
            known.generation,
            known.lane,
            known.partition,
            known.offset,
            known.type,
            known.entity,
            known.tenant,
            known.batch,
        )
    one = max(of.live, key=_freshness)
    started = one.started
    return Queued(started.at, one.generation, started.lane, started.partition, -1, "", "")


def _recorded(outcomes: Sequence[Outcome]) -> list[Transition]:
    """Every event once, from the shortest outcome that has it: there its error is whole."""
    if not outcomes:
        return []
    found: dict[_Fact, Transition] = {}
    for outcome in sorted(outcomes, key=lambda one: (one.timeline, len(one.events))):
        for index, event in enumerate(outcome.events):
            place = (outcome.generation, outcome.timeline, index)
            found.setdefault(
                _fact(index, event), Transition(*place, event, event_id(outcome.job, *place))
            )
    last = max(outcomes, key=_standing)
    standing = {_fact(index, event) for index, event in enumerate(last.events)}
    told = [replace(one, void=fact not in standing) for fact, one in found.items()]
    return sorted(told, key=lambda one: (one.timeline, one.index, not one.void))


def _standing(outcome: Outcome) -> tuple[int, bool, int]:
    return outcome.timeline, outcome.end is not None, len(outcome.events)


def _fact(index: int, event: Durable) -> _Fact:
    """What makes an event the same in a later outcome, whose older errors are shortened."""
    if isinstance(event, Retrying):
        return index, (event.at, event.attempt, event.due_at)
    return index, event


def _running(of: _Generation) -> list[Transition]:
    if not of.live or any(outcome.end for outcome in of.outcomes):
        return []
    newest = max(of.live, key=_freshness)
    if newest.started.run <= max((outcome.runs for outcome in of.outcomes), default=0):
        return []
    events: list[Event] = [newest.started]
    if newest.progress is not None:
        events.append(newest.progress)
    return [Transition(newest.generation, 0, BEFORE_ALL, event) for event in events]


def _freshness(one: Live) -> tuple[int, int, int, float]:
    progress = one.progress
    told = (progress.at, progress.percent) if progress else (0, 0.0)
    return (one.started.run, one.started.at, *told)
