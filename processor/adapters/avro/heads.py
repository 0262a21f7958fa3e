"""What does a record say of itself without being decoded?

The first fields of Submission, Outcome and Live never change their order: a reader may slice them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processor.adapters.avro.identities import job_of
from processor.adapters.avro.schemas import MARK_BYTES
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from processor.domain.ids import JobId

_JOB_ENDS = MARK_BYTES + 16
_LONGEST = 10
_CONTINUED = 0x80


class OutcomeHead(NamedTuple):
    """What a projection needs of an outcome to store it whole."""

    job: JobId
    generation: int
    timeline: int
    upto: int
    """How many events it holds."""
    at: int
    """When the last of them happened."""
    end: str
    """The kind of the event that ended the generation; empty while it may go on."""


def job_and_generation(value: bytes) -> tuple[JobId, int]:
    """The two first fields of a Submission, Outcome or Live; raises `Undecodable`."""
    generation, _ = _number(value, _JOB_ENDS)
    return job_of(value[MARK_BYTES:_JOB_ENDS]), generation


def outcome_head(value: bytes) -> OutcomeHead:
    """The six first fields of an Outcome; raises `Undecodable`."""
    generation, place = _number(value, _JOB_ENDS)
    timeline, place = _number(value, place)
    upto, place = _number(value, place)
    at, place = _number(value, place)
    length, place = _number(value, place)
    if not 0 <= length <= len(value) - place:
        raise Undecodable("the record ends within its head")
    try:
        end = value[place : place + length].decode()
    except UnicodeDecodeError as fault:
        raise Undecodable("the record's head is no text") from fault
    return OutcomeHead(job_of(value[MARK_BYTES:_JOB_ENDS]), generation, timeline, upto, at, end)


def _number(value: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    for byte in value[place : place + _LONGEST]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < _CONTINUED:
            return (number >> 1) ^ -(number & 1), place + shift // 7
    raise Undecodable("the record ends within its head")
