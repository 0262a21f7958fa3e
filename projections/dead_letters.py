"""Which jobs failed for good and wait for an operator?

The dead-letter topic holds facts; the table of letters is their fold, whatever their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.dead_letter import DeadLetterFact, DeadLetterKind
from processor.domain.ids import entity_key
from processor.ports.codec import Undecodable
from processor.ports.log import Place
from processor.ports.projection import Closing, LetterRow
from projections.headings import LAST_SECOND, SMALL
from projections.projection import Folded, Read, aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.domain.topics import Topics
    from processor.ports.codec import Codec

NAME: Final = "dead-letters"


class DeadLetterProjection:
    """Folds facts about dead letters into one row a letter."""

    name = NAME

    def __init__(self, topics: Topics, partitions: int, codec: Codec) -> None:
        self._topics = topics
        self._partitions = partitions
        self._codec = codec

    @property
    def places(self) -> Sequence[Place]:
        """Every partition of the dead-letter topic."""
        return [Place(self._topics.dead_letters, number) for number in range(self._partitions)]

    def fold(self, fetched: Mapping[Place, Sequence[Read]]) -> Folded:
        """Rows of letters; there is nothing to tell on."""
        folded = Folded()
        for place, records in fetched.items():
            for record in records:
                value = record.value or b""
                try:
                    fact = self._codec.decode_dead_letter(value)
                    if not (0 < fact.generation < SMALL and 0 <= fact.at < LAST_SECOND):
                        raise Undecodable("a fact with numbers that cannot be")
                except Undecodable:
                    folded.batch.aside.append(aside(place, record))
                    continue
                folded.batch.letters.append(letter_of(fact, value, place, record.offset))
        return folded


def letter_of(fact: DeadLetterFact, value: bytes, place: Place, offset: int) -> LetterRow:
    """What one fact adds to what is known of its letter."""
    row = LetterRow(
        fact.job.bytes,
        fact.generation,
        fact.id,
        partition=place.partition,
        first_fact=offset,
        last_fact=offset,
    )
    match fact.kind:
        case DeadLetterKind.DIED:
            return row._replace(
                died_at=fact.at,
                tenant=fact.tenant,
                type=fact.type,
                place=fact.place,
                body=value,
                release=fact.release,
                entity_key=entity_key(fact.tenant, fact.entity),
                lane=None if fact.lane is None else int(fact.lane),
                offset=fact.offset,
            )
        case DeadLetterKind.REPLAYED:
            return row._replace(closed=Closing.REPLAYED)
        case DeadLetterKind.DISCARDED:
            return row._replace(closed=Closing.DISCARDED)
