"""Does today's code read and write the bytes of every version ever released?

A file that is missing here belongs to a version that was just made: write it once with the encoder
of that day, put what it says into `expected.py`, and never touch it again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from processor.adapters.avro import AvroCodec, load
from processor.adapters.avro.events import decode_event, encode_event
from processor.adapters.avro.single_object import SingleObject
from processor.adapters.avro.submission_by_hand import MARK as SUBMISSION_MARK
from processor.adapters.avro.success_by_hand import COMPLETED_MARK, STARTED_MARK
from processor.adapters.avro.success_by_hand import MARK as OUTCOME_MARK
from processor.domain.events import Durable
from processor.domain.outcome import Outcome
from processor.domain.status import Live
from tests.golden import expected

FOLDER = Path(__file__).parent
SCHEMAS = load()
CODEC = AvroCodec()
FORM = SingleObject(SCHEMAS)

FINGERPRINTS = {
    "BreakerChanged.1": "05d3312ca5450b6f",
    "Cancelled.1": "9b39a208b7f0e717",
    "Completed.1": "c8cbb0409b3af032",
    "DeadLetter.1": "6c57602977b74d4b",
    "Discarded.1": "e3c796ac0ca7ac4f",
    "Failed.1": "2767a2ce5077cc39",
    "JobFailed.1": "d2ef77d71a0f2e8d",
    "Live.1": "2c0bcc5bcd43da76",
    "Outcome.1": "8bbf2f44bed8d74e",
    "Retrying.1": "daec3432c56b9511",
    "Started.1": "9a6abc88db674282",
    "Submission.1": "4fd6e50c9413ebf2",
}


def decode_body(value: bytes) -> Durable:
    (kind,) = (
        schema.record
        for versions in SCHEMAS.records.values()
        for schema in versions
        if value.startswith(schema.mark)
    )
    return decode_event(FORM, kind, value)


def encode_body(event: Durable) -> bytes:
    body = encode_event(FORM, event)["body"]
    assert isinstance(body, bytes)
    return body


def encode_journal(record: Outcome | Live) -> bytes:
    if isinstance(record, Live):
        return CODEC.encode_live(record)
    return CODEC.encode_outcome(record)


def golden(
    values: Mapping[str, object], read: Callable[..., object], write: Callable[..., bytes]
) -> list[tuple[str, object, Callable[..., object], Callable[..., bytes]]]:
    return [(name, value, read, write) for name, value in values.items()]


ALL = [
    *golden(expected.SUBMISSIONS, CODEC.decode_submission, CODEC.encode_submission),
    *golden(expected.BODIES, decode_body, encode_body),
    *golden(expected.JOURNAL, CODEC.decode_journal, encode_journal),
    *golden(expected.DEAD_LETTERS, CODEC.decode_dead_letter, CODEC.encode_dead_letter),
    *golden(expected.FAILURES, CODEC.decode_job_failed, CODEC.encode_job_failed),
    *golden(expected.BREAKERS, CODEC.decode_breaker_changed, CODEC.encode_breaker_changed),
]


@pytest.mark.parametrize(("name", "value", "read"), [one[:3] for one in ALL])
def test_the_bytes_of_a_released_version_are_read_as_what_they_say(
    name: str, value: object, read: Callable[..., object]
) -> None:
    assert read((FOLDER / f"{name}.bin").read_bytes()) == value


@pytest.mark.parametrize(
    ("name", "value", "write"), [(name, value, write) for name, value, _, write in ALL]
)
def test_a_version_that_is_written_today_is_written_byte_for_byte_as_ever(
    name: str, value: object, write: Callable[..., bytes]
) -> None:
    record, version = name.split(".")[:2]
    if FORM.schema_written(record).version == int(version):
        assert write(value) == (FOLDER / f"{name}.bin").read_bytes()


def test_every_released_version_has_its_golden_bytes_and_its_fingerprint() -> None:
    released = {
        f"{schema.record}.{schema.version}": schema.mark.hex()
        for versions in SCHEMAS.records.values()
        for schema in versions
    }
    assert released == {name: "c301" + code for name, code in FINGERPRINTS.items()}
    assert set(FINGERPRINTS) <= {path.stem for path in FOLDER.glob("*.bin")}
    assert {one[0] for one in ALL} == {path.stem for path in FOLDER.glob("*.bin")}


def test_what_is_made_by_hand_bears_the_marks_of_its_versions() -> None:
    by_hand = (SUBMISSION_MARK, OUTCOME_MARK, STARTED_MARK, COMPLETED_MARK)
    names = ("Submission.1", "Outcome.1", "Started.1", "Completed.1")
    assert [mark.hex() for mark in by_hand] == ["c301" + FINGERPRINTS[name] for name in names]


def test_the_bytes_are_those_of_the_avro_specification() -> None:
    """Spelt out by hand: mark, time as zigzag varint, length, bytes."""
    time = 2 * expected.AT
    digits = [time >> shift & 0x7F for shift in range(0, 56, 7)]
    spelt = bytes([digit | 0x80 for digit in digits[:-1]] + [digits[-1]])
    result = b'{"minutes":227}'
    mark = bytes.fromhex("c301" + FINGERPRINTS["Completed.1"])
    whole = mark + spelt + bytes([2 * len(result)]) + result
    assert (FOLDER / "Completed.1.bin").read_bytes() == whole
