"""What does operating know of a dead letter, and what becomes of it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processor.domain.errors import DeadLetterNotFound
from processor.ports.codec import Undecodable

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.changes import Change
    from processor.domain.dead_letter import DeadLetterFact
    from processor.domain.ids import JobId
    from processor.ports.codec import Codec
    from processor.ports.operations import Death, Operation
    from processor.ports.projection import Closing, LetterRow


@dataclass(frozen=True, slots=True)
class Letter:
    """What died, and how the letter was closed, as far as that is projected."""

    died: DeadLetterFact
    closed: Closing | None

    @property
    def death(self) -> Death:
        """Which generation of which job."""
        return self.died.job, self.died.generation


@dataclass(frozen=True, slots=True)
class Operated:
    """What became of a dead letter, and who asked for it first."""

    job: JobId
    generation: int
    """The one that the replay starts, or that stands for the discard."""
    first: Operation

    @property
    def changes(self) -> tuple[Change, ...]:
        """How the payload of that generation differs from what died."""
        return self.first.changes


def letter_of(row: LetterRow, codec: Codec) -> Letter:
    """A letter of its row; raises `DeadLetterNotFound` for one that cannot be read."""
    if row.body is None:
        raise not_found(row.id)
    try:
        return Letter(codec.decode_dead_letter(row.body), row.closed)
    except Undecodable as error:
        raise DeadLetterNotFound(
            f"dead letter {row.id} cannot be read by this release: {error}"
        ) from error


def not_found(dead_letter: UUID) -> DeadLetterNotFound:
    """No row, or none that tells of a death."""
    return DeadLetterNotFound(f"no dead letter has the id {dead_letter}")
