"""What is kept of a job that failed for good?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from processor.domain.dead_letter import (
    AttemptError,
    DeadLetterKind,
    died,
    discarded,
    errors_of,
    job_failed,
    replayed,
)
from processor.domain.events import (
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Reason,
    Retrying,
    Started,
)
from processor.domain.ids import JobId, dead_letter_id, event_id
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.submission import Caller, Replay, SubmissionRecord, Trace

JOB = JobId(UUID(int=7))
ERROR = ErrorDetail(Reason.HANDLER_FAILED, "ValueError", "no such gate", "app:landed:12")
FIRST = Started(10, 1, 1, "w1", "r1", 3, Priority.HIGH)
SECOND = Started(20, 2, 2, "w2", "r2", 3, Priority.HIGH, Trace("00-attempt"))
RETRYING = Retrying(11, 1, ERROR, 20)
FAILED = Failed(21, 2, Reason.REJECTED, ERROR)
OUTCOME = Outcome(
    JOB,
    1,
    1,
    "flight.landed",
    "N123",
    "acme",
    Priority.HIGH,
    3,
    40,
    (FIRST, RETRYING, SECOND, FAILED),
    submission=b"whole",
)
SUBMISSION = SubmissionRecord(
    JOB,
    "flight.landed",
    b"{}",
    "N123",
    Priority.HIGH,
    1,
    caller=Caller(user="ann"),
    trace=Trace("00-asked"),
)


def test_a_failure_makes_a_letter_with_everything_that_is_known() -> None:
    fact = died(OUTCOME, SUBMISSION, "jobs.high")
    assert fact is not None
    assert (fact.kind, fact.id, fact.at) == (DeadLetterKind.DIED, dead_letter_id(JOB, 1), 21)
    assert (fact.tenant, fact.entity, fact.type, fact.lane) == (
        "acme",
        "N123",
        "flight.landed",
        Priority.HIGH,
    )
    assert (fact.reason, fact.place) == (Reason.REJECTED, "app:landed:12")
    assert fact.errors == (AttemptError(11, 1, ERROR), AttemptError(21, 2, ERROR))
    assert (fact.submission, fact.caller) == (b"whole", Caller(user="ann"))
    assert (fact.worker, fact.release, fact.started_at) == ("w2", "r2", 10)
    assert (fact.topic, fact.partition, fact.offset) == ("jobs.high", 3, 40)
    assert fact.trace == Trace("00-attempt")


def test_a_letter_bears_the_submissions_trace_where_no_run_has_its_own() -> None:
    for events in [(FAILED,), (FIRST, FAILED)]:
        fact = died(replace(OUTCOME, events=events), SUBMISSION, "jobs.high")
        assert fact is not None
        assert fact.trace == Trace("00-asked")


def test_a_record_that_cannot_be_decoded_makes_a_letter_all_the_same() -> None:
    fact = died(replace(OUTCOME, events=(FAILED,)), None, "jobs.high")
    assert fact is not None
    assert (fact.submission, fact.caller, fact.trace) == (b"whole", None, None)
    assert (fact.worker, fact.release, fact.started_at) == ("", "", None)


def test_only_a_failure_dies_and_only_a_discard_is_discarded() -> None:
    ends: list[Durable] = [Completed(2, b"1"), RETRYING, Discarded(2, "ann")]
    for end in ends:
        assert died(replace(OUTCOME, events=(end,)), None, "jobs.high") is None
    assert discarded(OUTCOME) is None


def test_a_discard_closes_the_letter_of_the_generation_before_it() -> None:
    fact = discarded(replace(OUTCOME, generation=2, events=(Discarded(30, "ann", "old"),)))
    assert fact is not None
    assert (fact.kind, fact.id) == (DeadLetterKind.DISCARDED, dead_letter_id(JOB, 1))
    assert (fact.at, fact.actor, fact.because) == (30, "ann", "old")


@pytest.mark.parametrize("generation", [2, 3])
def test_a_replay_closes_the_letter_that_it_names(generation: int) -> None:
    replay = Replay(dead_letter_id(JOB, 1), "ann", "fixed")
    record = replace(SUBMISSION, generation=generation, replay=replay)
    fact = replayed(record, 50)
    assert fact is not None
    assert (fact.kind, fact.id) == (DeadLetterKind.REPLAYED, dead_letter_id(JOB, 1))
    assert (fact.at, fact.actor, fact.because) == (50, "ann", "fixed")


def test_a_first_generation_and_a_strange_letter_close_nothing() -> None:
    assert replayed(SUBMISSION, 50) is None
    strange = Replay(UUID(int=9), "ann", "")
    assert replayed(replace(SUBMISSION, generation=2, replay=strange), 50) is None


def test_the_errors_of_a_job_are_those_of_its_failed_attempts() -> None:
    assert errors_of([FIRST, RETRYING, SECOND, Completed(30, b"1")]) == (
        AttemptError(11, 1, ERROR),
    )


def test_other_teams_are_told_of_a_failure_and_of_nothing_else() -> None:
    news = job_failed(replace(OUTCOME, request_id="q1"))
    assert news is not None
    assert (news.job, news.dead_letter) == (JOB, dead_letter_id(JOB, 1))
    assert (news.type, news.tenant, news.entity) == ("flight.landed", "acme", "N123")
    assert (news.reason, news.error, news.attempts) == (Reason.REJECTED, ERROR, 2)
    assert (news.at, news.request_id) == (21, "q1")
    assert news.event_id == event_id(JOB, 1, 1, 3)
    assert job_failed(replace(OUTCOME, events=(FIRST, RETRYING))) is None


def test_a_failure_without_an_attempt_is_told_with_the_trace_of_its_submission() -> None:
    asked = replace(SUBMISSION, trace=Trace("00-submission"))
    missing = replace(OUTCOME, events=(Failed(21, 0, Reason.HANDLER_MISSING, ERROR),))
    for outcome, trace in ((missing, asked.trace), (OUTCOME, SECOND.trace)):
        news = job_failed(outcome, asked)
        assert news is not None
        assert news.trace == trace
