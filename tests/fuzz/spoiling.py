"""How are good bytes spoilt, so that every part of a reader meets something wrong?"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from processor.adapters.avro import load
from processor.adapters.avro.varints import number

GOLDEN: Final = tuple(
    path.read_bytes() for path in sorted((Path(__file__).parent.parent / "golden").rglob("*.bin"))
)
"""A record of every schema, as released versions wrote it."""
MARKS: Final = tuple(schema.mark for versions in load().records.values() for schema in versions)
LENGTHS: Final = (
    *map(number, (-1, 0, 1, 2, 63, 64, 2**15, 2**31 - 1, 2**31, 2**40, 2**62)),
    b"\xff" * 9 + b"\x01",
    b"\xfe" * 9 + b"\x01",
    b"\x80" * 30,
    b"\xff" * 30,
)
"""Lengths, counts and times as Avro writes them, most of which nothing can have."""
WORDS: Final = (
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\x1b[2J", b"{}", b"\x02",
    b"Completed", b"Failed", b"Started", b"Discarded", b"died",
    "\u202e".encode(),
)  # fmt: skip
Spoil = Callable[[bytearray, Random], None]


def record_of(chance: Random, good: Sequence[bytes] = GOLDEN) -> bytes:
    """Bytes for a reader of records: good ones spoilt, strange ones behind a mark, or any."""
    match chance.randrange(10):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            return chance.choice(MARKS) + chance.randbytes(chance.randrange(300))
        case 2:
            value = chance.choice(good)
            return chance.choice(MARKS) + value[len(MARKS[0]) :]
        case _:
            return spoilt(chance.choice(good), chance, good)


def spoilt(value: bytes, chance: Random, others: Sequence[bytes] = GOLDEN) -> bytes:
    """The same with up to four things wrong."""
    bytes_ = bytearray(value)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(_WAYS)(bytes_, chance)
    if chance.randrange(12) == 0:
        bytes_[_place(bytes_, chance) :] = chance.choice(others)
    return bytes(bytes_)


def _place(value: bytearray, chance: Random) -> int:
    return chance.randrange(len(value) + 1)


def _flip(value: bytearray, chance: Random) -> None:
    if value:
        value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)


def _overwrite(value: bytearray, chance: Random) -> None:
    if value:
        value[chance.randrange(len(value))] = chance.randrange(256)


def _truncate(value: bytearray, chance: Random) -> None:
    del value[_place(value, chance) :]


def _cut_out(value: bytearray, chance: Random) -> None:
    at = _place(value, chance)
    del value[at : at + chance.randrange(1, 12)]


def _put_in(value: bytearray, chance: Random) -> None:
    at = _place(value, chance)
    value[at:at] = chance.choice((chance.choice(LENGTHS), chance.choice(WORDS), b"\0" * 9))


def _put_over(value: bytearray, chance: Random) -> None:
    at = _place(value, chance)
    wrong = chance.choice((chance.choice(LENGTHS), chance.choice(WORDS)))
    value[at : at + len(wrong)] = wrong


def _repeat(value: bytearray, chance: Random) -> None:
    at = _place(value, chance)
    value[at:at] = value[at : at + chance.randrange(1, 40)] * chance.choice((1, 2, 50))


def _append(value: bytearray, chance: Random) -> None:
    value += chance.choice((b"\0", b"\n", chance.randbytes(5)))


_WAYS: Final[tuple[Spoil, ...]] = (
    _flip, _flip, _flip, _overwrite, _overwrite, _truncate, _cut_out, _put_in, _put_over, _repeat,
    _append,
)  # fmt: skip

LETTERS: Final = (
    *string.ascii_letters, *string.digits, *" .,:;/@[]{}()%#?&=-_+'\"\\", "\0", "\n", "\r", "\t",
    "\x1b", "\x7f", "\udcff", "\ud800", "\u00b2", "\u0663", "\u00df", "\u0130", "\u65e5", "\u202e",
    "\ufeff", "\u2028", "\U0001f600",
)  # fmt: skip


def text_of(chance: Random, words: Sequence[str], most: int = 6) -> str:
    """Text made of some of those words and of any letters, also of such as no text should have."""
    parts = [
        chance.choice(words) if words and chance.random() < 0.6 else _letters(chance)
        for _ in range(chance.randint(0, most))
    ]
    return "".join(parts)


def _letters(chance: Random) -> str:
    return "".join(chance.choices(LETTERS, k=chance.choice((1, 1, 2, 5))))
