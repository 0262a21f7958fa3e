"""What can an operator ask about dead letters?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from processor.domain.errors import DeadLetterNotFound, InvalidSubmission
from processor.domain.selection import EVERY, Selection
from processor.ports.codec import Undecodable
from processor.ports.projection import LetterQuery, LetterRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from processor.domain.dead_letter import DeadLetterFact
    from processor.domain.ids import JobId
    from processor.domain.submission import SubmissionRecord
    from processor.ports.codec import Codec
    from processor.ports.projection import (
        Chosen,
        Closing,
        HistoryRows,
        LetterGroup,
        LetterRows,
    )


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
        self,
        selection: Selection = EVERY,
        *,
        type: str | None = None,
        place: str | None = None,
        tenant: str | None = None,
        after: DeadLetter | None = None,
    ) -> AsyncIterator[DeadLetter]:
        """Every letter of a selection, or of a type, an error's place, a tenant.

        In the order of death, those that died later than `after`. Only a selection of discarded
        letters has any that are not open.
        """
        chosen = replace(
            selection,
            type=type or selection.type,
            place=place or selection.place,
            tenant=tenant or selection.tenant,
        )
        query = LetterQuery(chosen, None if after is None else _row_of(after))
        while rows := await self._rows.chosen(query):
            for letter in self._readable(rows):
                yield letter
            query = query._replace(after=rows[-1])

    async def groups(self, selection: Selection = EVERY) -> list[LetterGroup]:
        """What a selection chooses by type, place and release, the largest group first."""
        return await self._rows.groups(selection)

    async def count(self, selection: Selection = EVERY) -> Chosen:
        """How many letters a selection chooses, of how many entities."""
        return await self._rows.size(selection)

    async def submission(self, dead_letter: UUID) -> SubmissionRecord:
        """What died; raises `DeadLetterNotFound`, `InvalidSubmission` for no record of ours."""
        died = (await self.by_id(dead_letter)).died
        try:
            return self._codec.decode_submission(died.submission or b"")
        except Undecodable as error:
            why = f"the record of dead letter {dead_letter} cannot be decoded: {error}"
            raise InvalidSubmission(why, {died.job: str(error)}) from error

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


class Submissions:
    """What jobs were submitted with."""

    def __init__(self, rows: HistoryRows, codec: Codec) -> None:
        self._rows = rows
        self._codec = codec

    async def newest(self, job: JobId) -> SubmissionRecord | None:
        """The record of a job's newest generation that the history can read; None without one."""
        records = await self._rows.of(job)
        found = [
            record
            for row in records.history
            if row.upto < 0 and (record := self.decoded(row.body)) is not None
        ]
        return max(found, key=lambda one: one.generation, default=None)

    def decoded(self, body: bytes | None) -> SubmissionRecord | None:
        """A record of a lane; None for what is none that this release can read."""
        try:
            return None if body is None else self._codec.decode_submission(body)
        except Undecodable:
            return None


def _row_of(letter: DeadLetter) -> LetterRow:
    """By what a page knows which letter was the last before it."""
    died = letter.died
    return LetterRow(died.job.bytes, died.generation, died.id, died.at)
