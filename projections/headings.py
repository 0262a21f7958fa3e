"""Whose record is this, read without decoding it?

The history keeps records whole and needs only the numbers that every version of a record begins
with, in this order: Submission: job, generation. Outcome: job, generation, timeline, upto, at, end.
Live: job, generation, run, at. Which of the three a value is, its marker and fingerprint tell; they
are learnt by decoding the first value that bears them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from processor.domain.outcome import Outcome
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from processor.ports.codec import Codec

MARKED: Final = 10
"""Bytes of marker and fingerprint."""
NAMED: Final = MARKED + 16
"""Where the job's id ends."""
FIRST_GENERATION: Final = 2
"""Avro's encoding of 1."""
SMALL: Final = 2**15
"""The numbers of generations, runs and events stay below it."""
CONTINUED: Final = 0x80
"""A byte from here on is not a number's last."""
LAST_SECOND: Final = 253_402_300_800 * 1_000_000
"""The end of the year 9999: a time beyond it is no time."""

Kind = Literal["Outcome", "Live"]


class OutcomeHeading(NamedTuple):
    """What an outcome begins with."""

    job: bytes
    generation: int
    timeline: int
    upto: int
    at: int
    end: str
    """The kind of the event that ended the generation; empty while it may go on."""


class LiveHeading(NamedTuple):
    """What a live record begins with."""

    job: bytes
    generation: int
    run: int
    at: int


class Headings:
    """Reads headings; every method raises `Undecodable` for what is no record of ours."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._lanes: set[bytes] = set()
        self._journal: dict[bytes, Kind] = {}

    def of_lane(self, value: bytes) -> tuple[bytes, int]:
        """Job and generation of a lane's record."""
        if value[:MARKED] not in self._lanes:
            self._codec.decode_submission(value)
            self._lanes.add(value[:MARKED])
        if len(value) <= NAMED:
            raise Undecodable("a submission that ends within its heading")
        generation = value[NAMED]
        if generation == FIRST_GENERATION:
            return value[MARKED:NAMED], 1
        generation, _ = _number(value, NAMED, 1, SMALL)
        return value[MARKED:NAMED], generation

    def of_journal(self, value: bytes) -> OutcomeHeading | LiveHeading:
        """The heading of a journal's record."""
        kind = self._journal.get(value[:MARKED])
        if kind is None:
            kind = self._learn(value)
        job = value[MARKED:NAMED]
        generation, at = _number(value, NAMED, 1, SMALL)
        if kind == "Live":
            run, at = _number(value, at, 0, SMALL)
            when, _ = _number(value, at, 0, LAST_SECOND)
            return LiveHeading(job, generation, run, when)
        timeline, at = _number(value, at, 0, 2**31)
        upto, at = _number(value, at, 0, SMALL)
        when, at = _number(value, at, 0, LAST_SECOND)
        length, at = _number(value, at, 0, len(value) - at)
        end = value[at : at + length].decode(errors="replace")
        return OutcomeHeading(job, generation, timeline, upto, when, end)

    def _learn(self, value: bytes) -> Kind:
        record = self._codec.decode_journal(value)
        kind: Kind = "Outcome" if isinstance(record, Outcome) else "Live"
        self._journal[value[:MARKED]] = kind
        return kind


def _number(value: bytes, at: int, least: int, beyond: int) -> tuple[int, int]:
    """Avro's variable-length zigzag number at a place, and the place after it."""
    number = shift = 0
    try:
        while (byte := value[at]) >= CONTINUED:
            number |= (byte & 0x7F) << shift
            shift += 7
            at += 1
    except IndexError:
        raise Undecodable("a record that ends within its heading") from None
    number |= byte << shift
    number = number >> 1 ^ -(number & 1)
    if not least <= number < beyond:
        raise Undecodable(f"a heading with {number} where {least} to {beyond - 1} may be")
    return number, at + 1
