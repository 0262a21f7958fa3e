"""Which entities have gone on since one of their jobs died?

Asked only while an entity is known that has not: so its answer may take a look into every record of
a batch. The names stand behind the numbers that a heading reads; whether they stand there in a
version's records is learnt by decoding the first one that bears its fingerprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.ids import entity_key
from processor.domain.outcome import Outcome
from processor.ports.codec import Undecodable
from projections.headings import MARKED, NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.ports.codec import Codec
    from processor.ports.projection import Passed

_NUMBERS_BEFORE: Final = 4
"""Generation, timeline, events and time, before the end's kind."""
_NUMBERS_AFTER: Final = 3
"""Lane, partition and offset, before the type."""


class Overtakes:
    """Reads whose entity a completed job was."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._known: dict[bytes, bool] = {}

    def of(self, completed: Iterable[tuple[bytes, int]]) -> list[Passed]:
        """By entity the last time at which one of these outcomes, each with its time, completed."""
        last: dict[int, int] = {}
        for value, at in completed:
            try:
                tenant, entity = self._names(value)
            except Undecodable:
                continue
            key = entity_key(tenant, entity)
            last[key] = max(at, last.get(key, at))
        return sorted(last.items())

    def _names(self, value: bytes) -> tuple[str | None, str]:
        version = value[:MARKED]
        as_usual = self._known.get(version)
        if as_usual:
            return _read(value)
        names = self._decoded(value)
        if as_usual is None:
            self._known[version] = _read(value) == names
        return names

    def _decoded(self, value: bytes) -> tuple[str | None, str]:
        outcome = self._codec.decode_journal(value)
        if not isinstance(outcome, Outcome):
            raise Undecodable("no outcome")
        return outcome.tenant, outcome.entity


def _read(value: bytes) -> tuple[str | None, str]:
    """Tenant and entity as they stand in an outcome's record; raises `Undecodable`."""
    try:
        at = _skip(value, NAMED, _NUMBERS_BEFORE)
        _, at = _text(value, at)
        at = _skip(value, at, _NUMBERS_AFTER)
        _, at = _text(value, at)
        entity, at = _text(value, at)
        tenant = _text(value, at + 1)[0].decode() if value[at] else None
        return tenant, entity.decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise Undecodable("a record that ends within its names") from error


def _skip(value: bytes, at: int, numbers: int) -> int:
    for _ in range(numbers):
        while value[at] & 0x80:
            at += 1
        at += 1
    return at


def _text(value: bytes, at: int) -> tuple[bytes, int]:
    number = shift = 0
    while (byte := value[at]) & 0x80:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    length = (number | byte << shift) >> 1
    start = at + 1
    return value[start : start + length], start + length
