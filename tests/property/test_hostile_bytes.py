"""What do bytes do that nobody of ours wrote?"""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.adapters.avro import AvroCodec, load
from processor.adapters.avro.outcomes import outcome_fields
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submissions import submission_of
from processor.domain.ids import JobId
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Undecodable, UnknownSchema
from tests import records

CODEC = AvroCodec()
SCHEMAS = load()
FASTAVRO = SingleObject(SCHEMAS)
MARKS = [schema.mark for versions in SCHEMAS.records.values() for schema in versions]
READERS: tuple[Callable[[bytes], object], ...] = (
    CODEC.decode_submission,
    CODEC.decode_journal,
    CODEC.decode_dead_letter,
    CODEC.decode_job_failed,
)

good = st.one_of(
    records.submissions.map(CODEC.encode_submission),
    records.usual_submissions.map(CODEC.encode_submission),
    records.outcomes.map(CODEC.encode_outcome),
    records.lives.map(CODEC.encode_live),
    records.dead_letters.map(CODEC.encode_dead_letter),
    records.failures.map(CODEC.encode_job_failed),
)
splices = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x01", b"\x01", b"\x80" * 30, b""]),
)


@st.composite
def spoilt(draw: st.DrawFn, value: st.SearchStrategy[bytes]) -> bytes:
    """Draw a record of which some places were overwritten, cut out or put in."""
    spoiled = draw(value)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(spoiled)))
        dropped = draw(st.integers(0, 12))
        spoiled = spoiled[:place] + draw(splices) + spoiled[place + dropped :]
    return spoiled


def raises_only_undecodable(value: bytes) -> None:
    for read in READERS:
        with suppress(Undecodable):
            read(value)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc3")
@example(b"\xc3\x01")
def test_any_bytes_are_undecodable_at_worst(value: bytes) -> None:
    raises_only_undecodable(value)


@given(st.sampled_from(MARKS), st.binary(max_size=300))
def test_any_bytes_behind_a_mark_of_ours_are_undecodable_at_worst(mark: bytes, body: bytes) -> None:
    raises_only_undecodable(mark + body)


@given(spoilt(good))
def test_a_spoilt_record_is_undecodable_at_worst(value: bytes) -> None:
    raises_only_undecodable(value)


@given(good, st.data())
def test_a_cut_record_is_undecodable(value: bytes, data: st.DataObject) -> None:
    cut = value[: data.draw(st.integers(0, len(value) - 1))]
    for read in READERS:
        with pytest.raises(Undecodable):
            read(cut)


@given(good, st.binary(min_size=1, max_size=9))
def test_a_record_with_more_behind_it_is_undecodable(value: bytes, more: bytes) -> None:
    for read in READERS:
        with pytest.raises(Undecodable):
            read(value + more)


def read_by_fastavro(value: bytes) -> SubmissionRecord | None:
    try:
        return submission_of(FASTAVRO.read("Submission", value))
    except (Undecodable, ValueError):
        return None


def read_by_hand(value: bytes) -> SubmissionRecord | None:
    try:
        return CODEC.decode_submission(value)
    except Undecodable:
        return None


@given(spoilt((records.usual_submissions | records.submissions).map(CODEC.encode_submission)))
def test_by_hand_a_spoilt_submission_is_what_it_is_to_fastavro(value: bytes) -> None:
    assert read_by_hand(value) == read_by_fastavro(value)


@given(records.usual_submissions.map(CODEC.encode_submission), st.data())
def test_by_hand_one_wrong_byte_makes_what_it_makes_to_fastavro(
    value: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(10, min(len(value) - 1, 400)))
    wrong = value[:place] + data.draw(st.binary(min_size=1, max_size=1)) + value[place + 1 :]
    assert read_by_hand(wrong) == read_by_fastavro(wrong)


@pytest.mark.parametrize("mark", MARKS, ids=bytes.hex)
@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, 2**63 - 1, -(2**63), -1])
def test_a_hostile_length_allocates_nothing(mark: bytes, length: int) -> None:
    number = (length << 1) ^ (length >> 63)
    spelt = bytes(number >> shift & 0x7F | 0x80 for shift in range(0, 63, 7)) + bytes(
        [number >> 63]
    )
    tracemalloc.start()
    try:
        for filled in range(40):
            raises_only_undecodable(mark + bytes(filled) + spelt * 12)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


HEAD = bytes.fromhex("c3014fd6e50c9413ebf2") + bytes(16) + b"\2\4" + b"\x80" * 7 + b"\6"
NAMES = b"\2t\2e"


@pytest.mark.parametrize(
    "value",
    [
        HEAD + NAMES + b"\2\1" + bytes(9),
        HEAD + NAMES + b"\0\x81\1" + bytes(64) + bytes(8),
    ],
    ids=["of a tenant", "of a payload"],
)
def test_a_negative_length_that_would_leave_the_rest_in_place_is_undecodable(value: bytes) -> None:
    assert CODEC.decode_submission(HEAD + NAMES + b"\0\2p" + bytes(8)).payload == b"p"
    with pytest.raises(Undecodable):
        CODEC.decode_submission(value)


def test_an_outcome_of_more_events_than_can_be_numbered_is_undecodable() -> None:
    many = [{"kind": "Snoozed", "body": b""}] * 32_768
    outcome = Outcome(JobId(UUID(int=1)), 1, 1, "t", "e", None, Priority.LOW, 0, 0, ())
    fields = {**outcome_fields(FASTAVRO, outcome), "events": many}
    with pytest.raises(Undecodable):
        CODEC.decode_journal(FASTAVRO.write("Outcome", fields))


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=40))
def test_a_mark_that_is_not_known_is_no_corruption(fingerprint: bytes, body: bytes) -> None:
    value = b"\xc3\x01" + fingerprint
    if value in MARKS:
        return
    for read in READERS:
        with pytest.raises(UnknownSchema) as raised:
            read(value + body)
        assert raised.value.fingerprint == fingerprint
