"""Whose record is this, read without decoding it?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.adapters.avro import AvroCodec
from processor.domain.outcome import Outcome
from processor.domain.status import Live
from processor.ports.codec import Undecodable, UnknownSchema
from projections.headings import (
    MARKED,
    NAMED,
    Headings,
    LiveHeading,
    OutcomeHeading,
    any_outcome,
    usual_outcome,
)
from tests.projecting import (
    COMPLETED,
    FAILED,
    RETRYING,
    job,
    outcome,
    started,
    submission,
)

CODEC = AvroCodec()
SUBMITTED = CODEC.encode_submission(submission(7))
ENDED = CODEC.encode_outcome(outcome(CODEC, 7, started(7), FAILED))
LIVE = CODEC.encode_live(Live(job(7), 1, started(7, 3)))


@pytest.mark.parametrize("generation", [1, 2, 63, 64, 32_767])
def test_a_submission_begins_with_its_job_and_generation(generation: int) -> None:
    value = CODEC.encode_submission(submission(7, generation))
    assert Headings(CODEC).of_lane(value) == (job(7).bytes, generation)


def test_an_outcome_begins_with_what_the_history_needs() -> None:
    headings = Headings(CODEC)
    waits = CODEC.encode_outcome(
        outcome(CODEC, 7, started(7), RETRYING, generation=2, timeline=300)
    )
    heading = OutcomeHeading(job(7).bytes, 2, 300, 2, RETRYING.at, "")
    assert headings.of_journal(waits) == headings.of_journal(waits) == heading
    found = headings.of_journal(ENDED)
    assert found == OutcomeHeading(job(7).bytes, 1, 1, 2, FAILED.at, "Failed")


def test_a_live_record_begins_with_its_run() -> None:
    found = Headings(CODEC).of_journal(LIVE)
    assert found == LiveHeading(job(7).bytes, 1, 3, started(7, 3).at)


def test_the_end_of_an_outcome_is_told_by_the_kind_of_its_last_event() -> None:
    value = CODEC.encode_outcome(outcome(CODEC, 7, started(7), COMPLETED))
    found = Headings(CODEC).of_journal(value)
    assert isinstance(found, OutcomeHeading)
    assert found.end == "Completed"


def test_foreign_bytes_and_unknown_schemas_are_told_apart() -> None:
    headings = Headings(CODEC)
    for read in (headings.of_lane, headings.of_journal):
        with pytest.raises(Undecodable):
            read(b"")
        with pytest.raises(Undecodable):
            read(b"what is this")
        with pytest.raises(UnknownSchema):
            read(b"\xc3\x01" + bytes(8) + SUBMITTED[MARKED:])
    with pytest.raises(Undecodable):
        headings.of_lane(ENDED)
    with pytest.raises(Undecodable):
        headings.of_journal(SUBMITTED)


@pytest.mark.parametrize("value", [SUBMITTED, ENDED, LIVE])
@given(cut=st.integers(MARKED, NAMED + 2))
def test_a_record_that_ends_within_its_heading_is_undecodable(value: bytes, cut: int) -> None:
    headings = Headings(CODEC)
    headings.of_lane(SUBMITTED)
    headings.of_journal(ENDED)
    headings.of_journal(LIVE)
    read = headings.of_lane if value is SUBMITTED else headings.of_journal
    short = value[:cut]
    if value is SUBMITTED and cut > NAMED:
        assert read(short) == (job(7).bytes, 1)
    else:
        with pytest.raises(Undecodable):
            read(short)


@given(st.sampled_from([SUBMITTED, ENDED, LIVE]), st.binary(max_size=40))
def test_whatever_follows_a_known_marker_is_read_or_refused_never_out_of_range(
    value: bytes, body: bytes
) -> None:
    headings = Headings(CODEC)
    read = headings.of_lane if value is SUBMITTED else headings.of_journal
    read(value)
    try:
        found = read(value[:NAMED] + body)
    except Undecodable:
        return
    assert 0 < found[1] < 2**15
    if isinstance(found, OutcomeHeading):
        assert 0 <= found.upto < 2**15
        assert 0 <= found.timeline < 2**31


def test_what_is_stored_by_its_heading_is_what_the_codec_reads() -> None:
    decoded = CODEC.decode_journal(ENDED)
    found = Headings(CODEC).of_journal(ENDED)
    assert isinstance(decoded, Outcome)
    assert isinstance(found, OutcomeHeading)
    assert (found.job, found.upto) == (decoded.job.bytes, len(decoded.events))


nearly_usual = st.builds(
    lambda small, time, rest: bytes(NAMED) + bytes(small) + bytes(time) + rest,
    st.tuples(*[st.sampled_from((0, 1, 2, 4, 6, 0x7E, 0x7F, 0x80, 0x82, 0xFF))] * 3),
    st.tuples(*[st.integers(0x7E, 0xFF)] * 7, st.integers(0, 0x81)),
    st.builds(lambda length, end: bytes([length]) + end, st.integers(0, 0xFF), st.binary()),
)


@given(nearly_usual | st.builds(bytes(NAMED).__add__, st.binary()))
def test_an_outcome_read_at_once_is_the_one_read_number_by_number(value: bytes) -> None:
    usual = usual_outcome(value)
    if usual is not None:
        assert usual == any_outcome(value)


def test_the_usual_outcome_is_read_at_once() -> None:
    value = CODEC.encode_outcome(outcome(CODEC, 1, started(1), COMPLETED))
    assert usual_outcome(value) == any_outcome(value)
    assert usual_outcome(value) is not None
