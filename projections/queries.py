"""What can an operator ask about dead letters?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processor.domain.errors import DeadLetterNotFound
from processor.ports.codec import Undecodable
from processor.ports.projection import LetterQuery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from processor.domain.dead_letter import DeadLetterFact
    from processor.ports.codec import Codec
    from processor.ports.projection import Closing, LetterGroup, LetterRow, LetterRows


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it stands."""

    died: DeadLetterFact
    closed: Closing | None
    """How it was closed; None while it is open."""


class DeadLetters:
    """Dead letters by id, by type and place, and by the page."""

    def __init__(self, rows: LetterRows, codec: Codec) -> None:
        self._rows = rows
        self._codec = codec

    async def by_id(self, dead_letter: UUID) -> DeadLetter:
        """One letter, open or closed; raises `DeadLetterNotFound`."""
        row = await self._rows.by_id(dead_letter)
        letter = self._read(row) if row else None
        if letter is None:
            raise DeadLetterNotFound(f"no dead letter has the id {dead_letter}")
        return letter

    async def open(
        self, *, type: str | None = None, place: str | None = None, tenant: str | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Every open letter of a type, an error's place, a tenant, in the order of death."""
        query = LetterQuery(type, place, tenant)
        while rows := await self._rows.open(query):
            for letter in self._readable(rows):
                yield letter
            query = query._replace(after=rows[-1])

    async def groups(self) -> list[LetterGroup]:
        """Open letters counted by type and place, the largest group first."""
        return await self._rows.groups()

    def _readable(self, rows: Sequence[LetterRow]) -> list[DeadLetter]:
        return [letter for row in rows if (letter := self._read(row)) is not None]

    def _read(self, row: LetterRow) -> DeadLetter | None:
        """None while only the closing is known, or for a body of a later release."""
        if row.body is None:
            return None
        try:
            return DeadLetter(self._codec.decode_dead_letter(row.body), row.closed)
        except Undecodable:
            return None
