"""Whose record is this, read without decoding it?

The history keeps records whole and needs only the numbers that every version of a record begins
with, in this order: Submission: job, generation. Outcome: job, generation, timeline, upto, at, end.
Live: job, generation, run, at. Which of the three a value is, its marker and fingerprint tell; they
are learnt by decoding the first value that bears them.
"""

from __future__ import annotations

import struct
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

_USUAL: Final = struct.Struct("<BBBQB")
"""Generation, timeline, events, time and the length of the end, as most outcomes have them."""
_ENDS: Final = NAMED + _USUAL.size
_NO_SHORT: Final = 0x81
"""The bits of a byte that is not, alone, a number from 0 on."""
_CONTINUES: Final = 0x8080808080808080
_EIGHT: Final = 0x0080808080808080

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
        if kind == "Outcome":
            return usual_outcome(value) or any_outcome(value)
        job = value[MARKED:NAMED]
        generation, at = _number(value, NAMED, 1, SMALL)
        run, at = _number(value, at, 0, SMALL)
        when, _ = _number(value, at, 0, LAST_SECOND)
        return LiveHeading(job, generation, run, when)

    def _learn(self, value: bytes) -> Kind:
        record = self._codec.decode_journal(value)
        kind: Kind = "Outcome" if isinstance(record, Outcome) else "Live"
        self._journal[value[:MARKED]] = kind
        return kind


def usual_outcome(value: bytes) -> OutcomeHeading | None:
    """What `any_outcome` reads, where each number has its usual bytes; None where one has not.

    The time has eight bytes from 1988 to 3111: their groups of seven bits are pushed together in
    three steps for all at once.
    """
    if len(value) < _USUAL.size + NAMED:
        return None
    generation, timeline, upto, time, length = _USUAL.unpack_from(value, NAMED)
    if (generation | timeline | upto | length) & _NO_SHORT or not generation:
        return None
    end = _ENDS + (length >> 1)
    if time & _CONTINUES != _EIGHT or time & 1 or end > len(value):
        return None
    time = time & 0x007F007F007F007F | time >> 1 & 0x3F803F803F803F80
    time = time & 0x00003FFF00003FFF | time >> 2 & 0x0FFFC0000FFFC000
    time = time & 0x0FFFFFFF | time >> 4 & 0xFFFFFFF0000000
    return OutcomeHeading(
        value[MARKED:NAMED],
        generation >> 1,
        timeline >> 1,
        upto >> 1,
        time >> 1,
        value[_ENDS:end].decode(errors="replace"),
    )


def any_outcome(value: bytes) -> OutcomeHeading:
    """An outcome's heading, number by number."""
    generation, at = _number(value, NAMED, 1, SMALL)
    timeline, at = _number(value, at, 0, 2**31)
    upto, at = _number(value, at, 0, SMALL)
    when, at = _number(value, at, 0, LAST_SECOND)
    length, at = _number(value, at, 0, len(value) - at)
    end = value[at : at + length].decode(errors="replace")
    return OutcomeHeading(value[MARKED:NAMED], generation, timeline, upto, when, end)


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
