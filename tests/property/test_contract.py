"""Does every value survive the contract, whichever way it is written and read?"""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from processor.adapters.avro import AvroCodec, load, success_by_hand
from processor.adapters.avro.outcomes import outcome_fields
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submissions import submission_fields, submission_of
from processor.domain.breaker import BreakerChanged
from processor.domain.dead_letter import DeadLetterFact, JobFailed
from processor.domain.events import Unknown
from processor.domain.outcome import Outcome, Success
from processor.domain.status import Live
from processor.domain.submission import SubmissionRecord
from projections.headings import Headings
from tests import records

CODEC = AvroCodec()
FASTAVRO = SingleObject(load())


@given(records.submissions | records.usual_submissions)
def test_a_submission_is_read_as_it_was_written(submission: SubmissionRecord) -> None:
    read = CODEC.decode_submission(CODEC.encode_submission(submission))
    assert read == submission
    assert type(read) is SubmissionRecord
    assert hash(read) == hash(submission)


@given(records.outcomes | records.usual_outcomes)
def test_an_outcome_is_read_as_it_was_written(outcome: Outcome) -> None:
    assert CODEC.decode_journal(CODEC.encode_outcome(outcome)) == outcome


@given(records.lives)
def test_what_a_running_job_tells_is_read_as_it_was_written(live: Live) -> None:
    assert CODEC.decode_journal(CODEC.encode_live(live)) == live


@given(records.dead_letters)
def test_a_fact_about_a_dead_letter_is_read_as_it_was_written(fact: DeadLetterFact) -> None:
    assert CODEC.decode_dead_letter(CODEC.encode_dead_letter(fact)) == fact


@given(records.failures)
def test_the_news_of_a_failure_is_read_as_it_was_written(event: JobFailed) -> None:
    assert CODEC.decode_job_failed(CODEC.encode_job_failed(event)) == event


@given(records.breaker_changes)
def test_the_news_of_a_breaker_is_read_as_it_was_written(event: BreakerChanged) -> None:
    assert CODEC.decode_breaker_changed(CODEC.encode_breaker_changed(event)) == event


@given(records.submissions | records.usual_submissions)
def test_a_submission_by_hand_is_byte_for_byte_that_of_fastavro(
    submission: SubmissionRecord,
) -> None:
    by_fastavro = FASTAVRO.write("Submission", submission_fields(submission))
    assert CODEC.encode_submission(submission) == by_fastavro
    read = submission_of(FASTAVRO.read("Submission", by_fastavro))
    assert CODEC.decode_submission(by_fastavro) == read


@given(records.successes | records.usual_successes)
def test_a_success_is_byte_for_byte_the_outcome_at_length(success: Success) -> None:
    assert CODEC.encode_success(success) == CODEC.encode_outcome(success.at_length())


@given(records.usual_successes)
def test_the_usual_success_is_indeed_written_by_hand(success: Success) -> None:
    assume(len((success.record.caller.request_id or "").encode()) < 8192)
    assert success_by_hand.encode(success) == CODEC.encode_success(success)


small = st.integers(1, 2**15 - 1)


@given(records.outcomes | records.usual_outcomes, small, small)
def test_the_first_fields_of_an_outcome_can_be_sliced(
    outcome: Outcome, generation: int, timeline: int
) -> None:
    outcome = replace(outcome, generation=generation, timeline=timeline)
    known = [event.at for event in outcome.events if not isinstance(event, Unknown)]
    assert Headings(CODEC).of_journal(CODEC.encode_outcome(outcome)) == (
        outcome.job.bytes,
        generation,
        timeline,
        len(outcome.events),
        known[-1] if known else 0,
        type(outcome.end).__name__ if outcome.end else "",
    )


@given(records.lives, small, small)
def test_the_first_fields_of_what_a_running_job_tells_can_be_sliced(
    live: Live, generation: int, run: int
) -> None:
    live = replace(live, generation=generation, started=replace(live.started, run=run))
    told = live.progress or live.started
    heading = Headings(CODEC).of_journal(CODEC.encode_live(live))
    assert heading == (live.job.bytes, generation, run, told.at)


@given(records.submissions | records.usual_submissions)
def test_the_first_fields_of_a_submission_can_be_sliced(submission: SubmissionRecord) -> None:
    value = CODEC.encode_submission(submission)
    assert Headings(CODEC).of_lane(value) == (submission.job.bytes, submission.generation)


@given(records.unknown, records.usual_outcomes)
def test_an_event_of_an_unknown_kind_is_passed_on_byte_for_byte(
    event: Unknown, outcome: Outcome
) -> None:
    fields = outcome_fields(FASTAVRO, outcome)
    fields["events"].insert(1, {"kind": event.kind, "body": event.body})
    written_by_a_later_release = FASTAVRO.write("Outcome", {**fields, "upto": 3})
    passed_on = CODEC.decode_journal(written_by_a_later_release)
    assert isinstance(passed_on, Outcome)
    assert passed_on.events[1] == event
    assert CODEC.encode_outcome(passed_on) == written_by_a_later_release
