"""Does every value survive the contract, whichever way it is written and read?"""

from hypothesis import given

from processor.adapters.avro import AvroCodec, job_and_generation, load, outcome_head
from processor.adapters.avro.outcomes import outcome_fields
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submissions import submission_fields, submission_of
from processor.domain.dead_letter import DeadLetterFact, JobFailed
from processor.domain.events import Unknown
from processor.domain.outcome import Outcome
from processor.domain.status import Live
from processor.domain.submission import SubmissionRecord
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


@given(records.submissions | records.usual_submissions)
def test_a_submission_by_hand_is_byte_for_byte_that_of_fastavro(
    submission: SubmissionRecord,
) -> None:
    by_fastavro = FASTAVRO.write("Submission", submission_fields(submission))
    assert CODEC.encode_submission(submission) == by_fastavro
    read = submission_of(FASTAVRO.read("Submission", by_fastavro))
    assert CODEC.decode_submission(by_fastavro) == read


@given(records.outcomes | records.usual_outcomes)
def test_an_outcome_by_hand_is_byte_for_byte_that_of_fastavro(outcome: Outcome) -> None:
    by_fastavro = FASTAVRO.write("Outcome", outcome_fields(FASTAVRO, outcome))
    assert CODEC.encode_outcome(outcome) == by_fastavro


@given(records.outcomes | records.usual_outcomes)
def test_the_head_of_an_outcome_can_be_sliced(outcome: Outcome) -> None:
    value = CODEC.encode_outcome(outcome)
    head = outcome_head(value)
    assert value[10:26] == outcome.job.bytes
    assert (head.job, head.generation) == (outcome.job, outcome.generation)
    assert (head.timeline, head.upto) == (outcome.timeline, len(outcome.events))
    assert head.end == (type(outcome.end).__name__ if outcome.end else "")
    known = [event.at for event in outcome.events if not isinstance(event, Unknown)]
    assert head.at == (known[-1] if known else 0)


@given(records.submissions, records.lives)
def test_job_and_generation_of_any_record_can_be_sliced(
    submission: SubmissionRecord, live: Live
) -> None:
    sliced = job_and_generation(CODEC.encode_submission(submission))
    assert sliced == (submission.job, submission.generation)
    assert job_and_generation(CODEC.encode_live(live)) == (live.job, live.generation)


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
