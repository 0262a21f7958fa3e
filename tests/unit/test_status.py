"""What does the history say of one job?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Progressed,
    Queued,
    Reason,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.ids import JobId, event_id
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import JobStatus, Live, fold, merge, status_of
from processor.domain.submission import Trace

JOB = JobId(UUID(int=7))
BATCH = UUID(int=8)
ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "no such gate", "app:landed:12")
QUEUED = Queued(
    1, 1, Priority.HIGH, 3, 40, "flight.landed", "N123", "acme", BATCH, trace=Trace("00-1")
)
FIRST = Started(10, 1, 1, "w1", "r1", 3, Priority.HIGH)
SECOND = Started(20, 2, 2, "w2", "r1", 3, Priority.HIGH)
RETRYING = Retrying(11, 1, ERROR, 20)
FAILED = Failed(12, 1, Reason.REJECTED, ERROR)
COMPLETED = Completed(21, b"1")


def outcome(*events: Durable, generation: int = 1, timeline: int = 1) -> Outcome:
    return Outcome(
        JOB,
        generation,
        timeline,
        "flight.landed",
        "N123",
        "acme",
        Priority.HIGH,
        3,
        40,
        events,
        BATCH,
    )


def status(
    *records: Queued | Outcome | Live,
) -> JobStatus:
    found = status_of(
        JOB,
        [one for one in records if isinstance(one, Queued)],
        [one for one in records if isinstance(one, Outcome)],
        [one for one in records if isinstance(one, Live)],
    )
    assert found is not None
    return found


def told(of: JobStatus) -> list[str]:
    return [type(one.event).__name__ + ("!" if one.void else "") for one in of.history]


def test_nothing_known_is_no_status() -> None:
    assert status_of(JOB, [], []) is None
    assert fold([]) is None


def test_a_record_in_its_lane_is_a_queued_job() -> None:
    found = status(QUEUED)
    assert (found.state, found.generation, found.attempts) == (State.QUEUED, 1, 0)
    assert (found.type, found.entity, found.tenant, found.batch) == (
        "flight.landed",
        "N123",
        "acme",
        BATCH,
    )
    assert (found.result, found.trace) == (None, Trace("00-1"))


def test_a_complete_job_tells_its_result_and_every_step() -> None:
    found = status(QUEUED, outcome(FIRST, COMPLETED))
    assert (found.state, found.result, found.attempts) == (State.COMPLETE, b"1", 1)
    assert told(found) == ["Queued", "Started", "Completed"]
    assert found.history[2].id == event_id(JOB, 1, 1, 1)


def test_of_several_records_with_one_id_the_executed_one_is_told() -> None:
    early, late = replace(QUEUED, at=0, offset=2), replace(QUEUED, at=9)
    assert status(late, early).history[0].event == early
    assert status(late, early, outcome(FIRST)).history[0].event == late


def test_an_error_is_told_whole_although_later_outcomes_shorten_it() -> None:
    cut = replace(RETRYING, error=replace(ERROR, message="no"))
    found = status(QUEUED, outcome(FIRST, cut, SECOND, COMPLETED), outcome(FIRST, RETRYING))
    assert [one.event for one in found.history][2] == RETRYING


def test_a_timeline_that_a_failover_undid_is_told_as_void() -> None:
    lost = outcome(FIRST, FAILED, timeline=1)
    found = status(QUEUED, lost, outcome(replace(FIRST, at=30), COMPLETED, timeline=2))
    assert found.state is State.COMPLETE
    assert told(found) == ["Queued", "Started!", "Failed!", "Started", "Completed"]


def test_what_a_later_timeline_carried_over_is_told_once_under_its_first_id() -> None:
    whole = outcome(FIRST, RETRYING, SECOND, COMPLETED, timeline=2)
    found = status(QUEUED, outcome(FIRST, RETRYING, timeline=1), whole)
    assert told(found) == ["Queued", "Started", "Retrying", "Started", "Completed"]
    assert [one.timeline for one in found.history] == [0, 1, 1, 2, 2]


def test_an_outcome_that_ended_stands_above_a_longer_one_that_did_not() -> None:
    found = status(QUEUED, outcome(FIRST, RETRYING), outcome(Cancelled(15, "ann")))
    assert found.state is State.CANCELLED
    assert told(found) == ["Queued", "Started!", "Cancelled", "Retrying!"]


def test_a_running_job_is_processing_before_there_is_an_outcome() -> None:
    found = status(QUEUED, Live(JOB, 1, FIRST, Progressed(15, 40.0, "counted")))
    assert (found.state, found.current.worker) == (State.PROCESSING, "w1")
    assert found.current.progress == Progressed(15, 40.0, "counted")
    assert [one.id for one in found.history] == [None, None, None]


def test_a_second_run_is_processing_after_the_outcome_of_the_first() -> None:
    found = status(QUEUED, outcome(FIRST, RETRYING), Live(JOB, 1, SECOND))
    assert (found.state, found.attempts) == (State.PROCESSING, 2)
    assert told(found) == ["Queued", "Started", "Retrying", "Started"]


def test_of_live_records_the_newest_run_with_the_newest_progress_counts() -> None:
    found = status(
        QUEUED,
        Live(JOB, 1, SECOND, Progressed(25, 50.0)),
        Live(JOB, 1, SECOND, Progressed(24, 90.0)),
        Live(JOB, 1, SECOND),
        Live(JOB, 1, FIRST, Progressed(30, 99.0)),
    )
    assert found.current.progress == Progressed(25, 50.0)


@pytest.mark.parametrize("run", [1, 2, 3])
def test_a_late_start_after_the_end_is_ignored(run: int) -> None:
    late = Live(JOB, 1, replace(FIRST, at=99, run=run))
    found = status(QUEUED, outcome(FIRST, COMPLETED), late)
    assert found.state is State.COMPLETE
    assert told(found) == ["Queued", "Started", "Completed"]


def test_a_late_start_of_a_run_that_an_outcome_has_is_ignored() -> None:
    found = status(QUEUED, outcome(FIRST, RETRYING), Live(JOB, 1, replace(FIRST, at=99)))
    assert found.state is State.RETRYING


def test_a_failure_is_told_before_its_lane_has_been_read() -> None:
    found = status(outcome(FIRST, FAILED))
    assert (found.state, found.current.reason) == (State.FAILED, Reason.REJECTED)
    assert (found.type, found.entity, found.tenant) == ("flight.landed", "N123", "acme")
    first = found.history[0]
    assert first.inferred
    assert isinstance(first.event, Queued)
    assert (first.event.lane, first.event.partition, first.event.offset) == (Priority.HIGH, 3, 40)
    assert not status(QUEUED, outcome(FIRST, FAILED)).history[0].inferred


def test_a_run_is_told_before_anything_else_of_its_job() -> None:
    found = status(Live(JOB, 1, FIRST))
    assert (found.state, found.type, found.current.lane) == (
        State.PROCESSING,
        "",
        Priority.HIGH,
    )


def test_an_empty_outcome_and_one_of_unknown_events_tell_where_the_job_stands() -> None:
    assert status(outcome()).state is State.QUEUED
    found = status(outcome(Unknown("Paused", b"")))
    assert (found.state, told(found)) == (State.QUEUED, ["Queued", "Unknown"])


def test_a_replay_leads_on_and_keeps_the_history() -> None:
    again = replace(QUEUED, generation=2, at=50)
    found = status(again, QUEUED, outcome(FIRST, FAILED))
    assert (found.state, found.generation, found.current.error) == (State.QUEUED, 2, None)
    assert told(found) == ["Queued", "Started", "Failed", "Queued"]


def test_a_replay_is_told_although_the_failure_before_it_cannot_be_read() -> None:
    again = replace(QUEUED, generation=2, at=50)
    found = status(QUEUED, again, outcome(FIRST, COMPLETED, generation=2))
    assert (found.state, found.generation) == (State.COMPLETE, 2)


@pytest.mark.parametrize("end", [COMPLETED, Cancelled(12, "ann")])
def test_a_complete_or_cancelled_generation_absorbs_a_later_one(end: Durable) -> None:
    again = replace(QUEUED, generation=2, at=50)
    lost = outcome(FIRST, FAILED, timeline=1)
    stands = outcome(replace(FIRST, at=30), end, timeline=2)
    found = status(QUEUED, again, lost, stands)
    assert found.generation == 1
    assert found.state in {State.COMPLETE, State.CANCELLED}
    assert told(found)[-1] == "Queued!"


def test_a_discard_closes_the_letter_and_leaves_the_job_failed() -> None:
    discard = outcome(Discarded(60, "ann"), generation=2)
    found = status(QUEUED, outcome(FIRST, FAILED), discard)
    assert (found.state, found.generation, found.current.discarded) == (State.FAILED, 1, True)


def test_a_replay_that_lost_against_a_discard_never_began() -> None:
    again = replace(QUEUED, generation=2, at=50)
    discard = outcome(Discarded(60, "ann"), generation=2)
    found = status(QUEUED, again, outcome(FIRST, FAILED), discard)
    assert (found.state, found.current.discarded) == (State.FAILED, True)
    undone = replace(QUEUED, generation=3, at=70)
    found = status(QUEUED, again, undone, outcome(FIRST, FAILED), discard)
    assert (found.state, found.generation, found.current.discarded) == (State.QUEUED, 3, False)


def test_merge_orders_by_generation_timeline_and_index_never_by_time() -> None:
    again = replace(QUEUED, generation=2, at=0)
    history = merge([again, QUEUED], [outcome(FIRST, replace(FAILED, at=2))])
    assert [(one.generation, one.index) for one in history] == [(1, -1), (1, 0), (1, 1), (2, -1)]


def test_a_discard_without_anything_to_discard_hides_no_job() -> None:
    assert status(QUEUED, outcome(Discarded(60, "ann"))).state is State.QUEUED
    assert status(outcome(Discarded(60, "ann"), generation=2)).type == "flight.landed"
