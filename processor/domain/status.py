"""What does the history say of one job?

`merge` orders what the projection stored by (generation, timeline, index), never by time, and
drops copies; `fold` runs it through the same `evolve` that the worker uses. Any permutation of
the records, with any duplicates, gives the same status.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from processor.domain.errors import IllegalTransition
from processor.domain.events import Progressed, Queued, Started
from processor.domain.ids import event_id
from processor.domain.job import Job, State, evolve
from processor.domain.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from processor.domain.events import Event
    from processor.domain.ids import JobId


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
    index: int
    """Place within the generation's outcome; -1 for `Queued` and for ephemeral events."""
    event: Event
    id: UUID | None
    """None for ephemeral events."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The fold of one job's records."""

    job_id: JobId
    current: Job
    type: str
    entity: str
    tenant: str | None
    batch: UUID | None
    history: tuple[Transition, ...]

    @property
    def state(self) -> State:
        """Where the job is in its life."""
        return self.current.state


def merge(
    queued: Iterable[Queued], outcomes: Iterable[Outcome], live: Iterable[Live] = ()
) -> tuple[Transition, ...]:
    """One job's transitions in order, each once."""
    by_generation: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        by_generation.setdefault(outcome.generation, []).append(outcome)
    places: dict[int, list[Queued]] = {}
    for event in queued:
        places.setdefault(event.generation, []).append(event)
    running = {(one.generation, one.started.run): one for one in sorted(live, key=_liveliness)}
    transitions: list[Transition] = []
    for generation in sorted(by_generation.keys() | places.keys()):
        recorded = by_generation.get(generation, [])
        transitions += _first(generation, places.get(generation, []), recorded)
        transitions += _recorded(recorded)
        runs = max((_run_of(one, generation) for one in transitions), default=0)
        ended = any(outcome.end for outcome in recorded)
        for (at_generation, run), one in sorted(running.items()):
            if at_generation == generation and run > runs and not ended:
                transitions += _ephemeral(one)
    return tuple(transitions)


def _liveliness(one: Live) -> tuple[int, int, float]:
    progress = one.progress
    return (one.started.at, progress.at if progress else 0, progress.percent if progress else 0.0)


def _run_of(transition: Transition, generation: int) -> int:
    event = transition.event
    if transition.generation == generation and isinstance(event, Started):
        return event.run
    return 0


def _first(generation: int, places: list[Queued], recorded: Sequence[Outcome]) -> list[Transition]:
    """The record that was executed, where known; else the one appended first."""
    if not places:
        return []
    executed = {(one.lane, one.partition, one.offset) for one in recorded}
    first = min(
        places,
        key=lambda one: (
            (one.lane, one.partition, one.offset) not in executed,
            one.at,
            one.lane,
            one.offset,
        ),
    )
    return [Transition(generation, 0, -1, first, None)]


def _recorded(outcomes: Sequence[Outcome]) -> list[Transition]:
    """Each index of each timeline once, from the shortest outcome with it: its errors are whole."""
    found: dict[tuple[int, int], Transition] = {}
    for outcome in sorted(outcomes, key=lambda one: (one.timeline, len(one.events))):
        for index, event in enumerate(outcome.events):
            key = (outcome.timeline, index)
            if key not in found:
                identity = event_id(outcome.job, outcome.generation, outcome.timeline, index)
                found[key] = Transition(
                    outcome.generation, outcome.timeline, index, event, identity
                )
    return [found[key] for key in sorted(found)]


def _ephemeral(one: Live) -> list[Transition]:
    events: list[Event] = [one.started]
    if one.progress is not None:
        events.append(one.progress)
    return [Transition(one.generation, 0, -1, event, None) for event in events]


def fold(transitions: Sequence[Transition]) -> Job | None:
    """The job after all its transitions; None where there are none.

    A lost timeline's steps may not fit the ones that took their place: each timeline is folded from
    the generation's beginning, and the last one stands.
    """
    job: Job | None = None
    for _, of_generation in groupby(transitions, key=lambda one: one.generation):
        start: Job | None = None
        current = job
        for _, of_timeline in groupby(of_generation, key=lambda one: one.timeline):
            current = start if start is not None else job
            for transition in of_timeline:
                current = _step(current, transition)
            if start is None:
                start = current
        job = current
    return job


def _step(job: Job | None, transition: Transition) -> Job | None:
    try:
        return evolve(job, transition.event)
    except IllegalTransition:
        return job
