"""By which rules does a job live?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.domain.errors import IllegalTransition
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    ErrorDetail,
    Event,
    Failed,
    Progressed,
    Queued,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.job import (
    ENDED,
    TRANSITIONS,
    Cancel,
    Command,
    Discard,
    Fail,
    Job,
    Start,
    State,
    Succeed,
    decide,
    evolve,
)
from processor.domain.priority import Priority
from processor.domain.submission import Trace

ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "no such gate", "app:landed:12")
QUEUED = Queued(1, 1, Priority.HIGH, 3, 40, "flight.landed", "N123")
COMMANDS: dict[str, Command] = {
    "start": Start(10, "w1", "r1", 3),
    "succeed": Succeed(11, b"1"),
    "fail and try again": Fail(11, ERROR, retry_at=20),
    "fail for good": Fail(11, ERROR),
    "cancel": Cancel(11, "ann"),
    "discard": Discard(11, "ann"),
}
EVENTS: dict[str, Event] = {
    "queued": replace(QUEUED, generation=2),
    "started": Started(10, 1, 1, "w1", "r1", 3, Priority.HIGH),
    "progressed": Progressed(10, 50.0),
    "retrying": Retrying(11, 1, ERROR, 20),
    "completed": Completed(11, b"1"),
    "failed": Failed(11, 1, Reason.HANDLER_FAILED, ERROR),
    "cancelled": Cancelled(11, "ann"),
    "discarded": Discarded(11, "ann"),
}


def a_job(state: State) -> Job:
    return Job(state, 1, Priority.HIGH, attempt=1, run=1)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_refused_exactly_where_the_table_has_no_step(
    state: State, command: str
) -> None:
    job = a_job(state)
    steps = {
        "start": Started,
        "succeed": Completed,
        "fail and try again": Retrying,
        "fail for good": Failed,
        "cancel": Cancelled,
        "discard": Discarded,
    }
    if (state, steps[command]) in TRANSITIONS:
        event = decide(COMMANDS[command], job)
        assert type(event) is steps[command]
        assert evolve(job, event).state is TRANSITIONS[state, steps[command]]
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            decide(COMMANDS[command], job)


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_leads_where_the_table_says_or_is_refused(state: State | None, event: str) -> None:
    job = a_job(state) if state else None
    expected = TRANSITIONS.get((state, type(EVENTS[event])))
    if expected is None:
        with pytest.raises(IllegalTransition):
            evolve(job, EVENTS[event])
    else:
        assert evolve(job, EVENTS[event]).state is expected


def test_no_step_leads_out_of_a_complete_or_a_cancelled_job() -> None:
    assert not [step for step in TRANSITIONS if step[0] in {State.COMPLETE, State.CANCELLED}]


def test_every_unfinished_state_can_be_cancelled_and_every_state_is_reached() -> None:
    cancellable = {state for state, event in TRANSITIONS if event is Cancelled}
    assert cancellable == set(State) - ENDED
    assert set(TRANSITIONS.values()) == set(State) - {State.SCHEDULED}


def test_a_submission_for_later_makes_a_scheduled_job() -> None:
    job = evolve(None, replace(QUEUED, not_before=99))
    assert (job.state, job.not_before) == (State.SCHEDULED, 99)


def test_a_replay_starts_the_next_generation_with_nothing_of_the_last() -> None:
    failed = replace(a_job(State.FAILED), attempt=5, error=ERROR, discarded=True)
    assert evolve(failed, replace(QUEUED, generation=2)) == Job(State.QUEUED, 2, Priority.HIGH)


@pytest.mark.parametrize("generation", [1, 2])
def test_a_generation_that_is_not_later_starts_nothing(generation: int) -> None:
    failed = replace(a_job(State.FAILED), generation=2)
    with pytest.raises(IllegalTransition):
        evolve(failed, replace(QUEUED, generation=generation))


def test_a_counted_start_is_the_next_attempt_and_an_uncounted_one_only_the_next_run() -> None:
    job = evolve(None, QUEUED)
    first = decide(Start(2, "w1", "r1", 3, counted=False), job)
    assert first == Started(2, 1, 1, "w1", "r1", 3, Priority.HIGH)
    job = evolve(job, first)
    again = decide(Start(3, "w2", "r1", 3, counted=False), job)
    assert again == Started(3, 1, 2, "w2", "r1", 3, Priority.HIGH)
    assert decide(Start(3, "w2", "r1", 3), job) == replace(again, attempt=2)


def test_a_start_brings_its_own_trace_and_wipes_the_last_runs_progress() -> None:
    own, asked = Trace("00-2"), Trace("00-1")
    job = evolve(None, replace(QUEUED, trace=asked))
    job = evolve(job, Started(2, 1, 1, "w1", "r1", 3, Priority.HIGH))
    assert job.trace == asked
    job = evolve(job, Progressed(3, 10.0))
    assert job.progress == Progressed(3, 10.0)
    job = evolve(job, Started(4, 1, 2, "w1", "r1", 3, Priority.HIGH, own))
    assert (job.trace, job.progress) == (own, None)


def test_success_forgets_the_errors_before_it_and_failure_keeps_the_last() -> None:
    job = evolve(evolve(None, QUEUED), EVENTS["started"])
    job = evolve(job, EVENTS["retrying"])
    assert (job.due_at, job.error, job.reason) == (20, ERROR, Reason.HANDLER_FAILED)
    running = evolve(job, Started(21, 2, 2, "w1", "r1", 3, Priority.HIGH))
    complete = evolve(running, Completed(22, b"7"))
    assert (complete.error, complete.reason, complete.result) == (None, None, b"7")
    failed = evolve(job, Failed(23, 1, Reason.WORKER_LOST, ERROR))
    assert (failed.error, failed.reason, failed.due_at) == (ERROR, Reason.WORKER_LOST, None)
    assert evolve(job, Cancelled(24, "ann")).due_at is None


def test_a_dead_letter_is_discarded_once() -> None:
    job = evolve(a_job(State.FAILED), decide(Discard(1, "ann"), a_job(State.FAILED)))
    assert (job.state, job.discarded) == (State.FAILED, True)
    with pytest.raises(IllegalTransition):
        decide(Discard(2, "bob"), job)


def test_an_event_of_a_later_release_changes_nothing_and_begins_nothing() -> None:
    job = a_job(State.PROCESSING)
    assert evolve(job, Unknown("Paused", b"")) is job
    with pytest.raises(IllegalTransition):
        evolve(None, Unknown("Paused", b""))
