"""How are Avro's variable-length numbers written and read fast?

Seven bits to a byte, lowest first, the sign folded into the lowest bit. A time in microseconds
takes eight bytes from 1988 to 3111, looked up here in four pairs instead of eight steps.
"""

from __future__ import annotations

from typing import Final

CONTINUES: Final = 0x80
"""The high bit of a byte that is not a number's last."""


def _by_steps(rest: int) -> bytes:
    encoded = bytearray()
    while rest >= CONTINUES:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


PAIRS: Final = tuple(bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14))
"""Fourteen bits of a number that goes on."""
_ENDS = tuple(map(_by_steps, range(1 << 14)))
"""The last fourteen bits of a number, as their shortest bytes."""
_FOUR_BYTES: Final = 1 << 27


def number(value: int) -> bytes:
    """Any long, as its shortest bytes."""
    if 0 <= value < _FOUR_BYTES:
        rest = value << 1
        ends = rest >> 14
        return PAIRS[rest & 0x3FFF] + _ENDS[ends] if ends else _ENDS[rest]
    return _by_steps((value << 1) ^ (value >> 63))


NUMBERS: Final = {value: number(value) for value in range(8192)}
"""The one or two bytes of the numbers that are also the lengths of most things. A dictionary, since
a tuple would answer for negative ones too."""

LAST_PAIRS: Final = {n: bytes((n & 0x7F | 0x80, n >> 7)) for n in range(1 << 7, 1 << 14)}
"""The last bits of a number of eight bytes; a shorter or longer one is not found."""

LENGTHS: Final = tuple(n // 2 + 1 if n % 2 == 0 else 1 << 62 for n in range(128))
"""By the byte of a short length: how far from it the next field begins. A negative length leads
past every end."""

_VALUES = {int.from_bytes(pair, "little"): n for n, pair in enumerate(PAIRS)}
FIRST_VALUES: Final = {pair: n >> 1 for pair, n in _VALUES.items() if n % 2 == 0}
"""By a little-endian pair of bytes: the first 13 bits of a number that is not negative."""
MIDDLE_VALUES: Final = _VALUES
LAST_VALUES: Final = {int.from_bytes(pair, "little"): n for n, pair in LAST_PAIRS.items()}
"""By a little-endian pair of bytes: the last bits of a number of eight bytes."""


def long_length(value: bytes, place: int) -> tuple[int, int]:
    """Where the bytes that follow a length begin and end; raises `ValueError` or `IndexError`."""
    length = shift = 0
    for place_of_byte in range(place, place + 4):
        byte = value[place_of_byte]
        length |= (byte & 0x7F) << shift
        if byte < CONTINUES:
            if length & 1:
                break
            start = place_of_byte + 1
            return start, start + (length >> 1)
        shift += 7
    raise ValueError("not a length within a record")
