"""Lives of jobs as the log would tell them: lost intermediate outcomes, failovers, replays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING
from uuid import UUID

from hypothesis import strategies as st

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    ErrorDetail,
    Failed,
    Progressed,
    Queued,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId
from processor.domain.job import ENDED, Cancel, Fail, Job, Start, State, Succeed, decide, evolve
from processor.domain.outcome import Outcome, shorten
from processor.domain.priority import Priority
from processor.domain.status import Live

if TYPE_CHECKING:
    from processor.domain.events import Durable

JOB = JobId(UUID(int=7))
ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "a long story", "app:f:1", traceback="…")


@dataclass
class Life:
    """What was recorded of one job, and what of it stands."""

    queued: list[Queued] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    live: list[Live] = field(default_factory=list)
    job: Job | None = None
    """The fold of what stands, told step by step as it happened."""

    def records(self) -> list[Queued | Outcome | Live]:
        return [*self.queued, *self.outcomes, *self.live]


def outcome_of(queued: Queued, timeline: int, events: tuple[Durable, ...]) -> Outcome:
    return Outcome(
        job=JOB,
        generation=queued.generation,
        timeline=timeline,
        type=queued.type,
        entity=queued.entity,
        tenant=queued.tenant,
        lane=queued.lane,
        partition=queued.partition,
        offset=queued.offset,
        events=shorten(events, 4),
    )


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A life of up to three generations, each failed but the last."""
    life = Life()
    timeline = draw(st.integers(1, 3))
    for generation in range(1, draw(st.integers(1, 3)) + 1):
        if life.job is not None and life.job.state is not State.FAILED:
            break
        timeline = _generation(draw, life, generation, timeline)
    return life


def _generation(draw: st.DrawFn, life: Life, generation: int, timeline: int) -> int:
    lanes = draw(st.lists(st.sampled_from(Priority), min_size=1, max_size=3, unique=True))
    copies = [
        Queued(draw(st.integers(0, 50)), generation, lane, 1, draw(st.integers(0, 9)), "t", "e")
        for lane in lanes
    ]
    life.queued += copies
    executed = draw(st.sampled_from(copies))
    begun = evolve(None, executed)
    now = 100
    durable: tuple[Durable, ...] = ()
    """Events of the newest outcome, which a failover may keep or lose."""
    job, events = begun, durable
    while job.state not in ENDED:
        now += draw(st.integers(1, 3))
        event = _next(draw, life, job, now)
        job, events = evolve(job, event), (*events, event)
        if isinstance(event, Started):
            continue
        lost = isinstance(event, Retrying) and draw(st.integers(0, 4)) == 4
        if not lost:
            life.outcomes.append(outcome_of(executed, timeline, events))
        if draw(st.integers(0, 5)) == 5:
            # A failover: the standby knows the outcome before this one, or all of it.
            timeline += 1
            now += 100
            events = draw(st.sampled_from([durable, events]))
            job = reduce(evolve, events, begun)
        durable = events
    life.job = job
    _last_word(life, executed, timeline, events)
    return timeline


def _next(draw: st.DrawFn, life: Life, job: Job, now: int) -> Durable:
    if job.state is State.PROCESSING:
        return _end_of_run(draw, job, now)
    counted = draw(st.sampled_from([True, False]))
    event = decide(Start(now, "w", "r", 1, counted=counted), job)
    if isinstance(event, Started) and draw(st.booleans()):
        progress = draw(st.sampled_from([None, Progressed(now, 10.0)]))
        life.live.append(Live(JOB, job.generation, event, progress))
    return event


def _last_word(life: Life, executed: Queued, timeline: int, events: tuple[Durable, ...]) -> None:
    """After a failover that kept the end, the ledger's row is published again as it was."""
    ends = [one for one in life.outcomes if one.generation == executed.generation and one.end]
    if not any(one.events == shorten(events, 4) for one in ends):
        life.outcomes.append(outcome_of(executed, timeline, events))


def _end_of_run(draw: st.DrawFn, job: Job, now: int) -> Durable:
    match draw(st.sampled_from(["succeed", "fail", "cancel", "retry", "retry"])):
        case "retry" if job.run < 4:
            return decide(Fail(now, ERROR, retry_at=now + 5), job)
        case "fail":
            return decide(Fail(now, ERROR), job)
        case "cancel":
            return decide(Cancel(now, "ann"), job)
        case _:
            return decide(Succeed(now, b"1"), job)


times = st.integers(0, 9)
any_events: st.SearchStrategy[Durable] = st.one_of(
    st.builds(
        Started,
        times,
        st.integers(0, 3),
        st.integers(0, 3),
        st.just("w"),
        st.just("r"),
        st.just(1),
        st.just(Priority.LOW),
    ),
    st.builds(Retrying, times, st.integers(0, 3), st.just(ERROR), times),
    st.builds(Completed, times, st.just(b"1")),
    st.builds(Failed, times, st.integers(0, 3), st.just(Reason.REJECTED), st.just(ERROR)),
    st.builds(Cancelled, times, st.just("ann")),
    st.builds(Discarded, times, st.just("ann")),
    st.builds(Unknown, st.sampled_from(["Paused", "Moved"]), st.just(b"")),
)


@st.composite
def any_records(draw: st.DrawFn) -> Life:
    """Records as no sound system would write them; only the store's key holds."""
    life = Life()
    for generation in range(1, 4):
        for lane in draw(st.sets(st.sampled_from(Priority), max_size=2)):
            life.queued.append(Queued(draw(times), generation, lane, 1, draw(times), "t", "e"))
        keys = draw(st.sets(st.tuples(st.integers(1, 2), st.integers(0, 3)), max_size=4))
        queued = Queued(0, generation, Priority.LOW, 1, 0, "t", "e")
        for timeline, upto in keys:
            events = draw(st.lists(any_events, min_size=upto, max_size=upto))
            life.outcomes.append(replace(outcome_of(queued, timeline, ()), events=tuple(events)))
        if draw(st.booleans()):
            started = draw(any_events.filter(lambda one: isinstance(one, Started)))
            assert isinstance(started, Started)
            life.live.append(Live(JOB, generation, started))
    return life
