"""What is a projection?

Records in, rows and facts out: pure, so that a batch that is read again becomes the same again.
`Projector` moves it along the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from processor.ports.projection import AsideRow, Batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.ports.log import Append, Place


class Read(Protocol):
    """What a projection sees of a record of the log."""

    @property
    def offset(self) -> int:
        """Its place within the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """What was appended."""
        ...

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch."""
        ...


class KeptAside(NamedTuple):
    """A record read back from where it was kept aside."""

    offset: int
    value: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Folded:
    """What some records become."""

    batch: Batch = field(default_factory=Batch)
    facts: list[Append] = field(default_factory=list)
    """To be appended, and acknowledged, before the batch is written; harmless when repeated."""


class Projection(Protocol):
    """Folds the records of its places; never raises for what a record holds."""

    @property
    def name(self) -> str:
        """By which its checkpoints are kept."""
        ...

    @property
    def places(self) -> Sequence[Place]:
        """Every partition that it reads."""
        ...

    def fold(self, fetched: Mapping[Place, Sequence[Read]]) -> Folded:
        """Rows and facts, each a function of one record alone."""
        ...


def aside(place: Place, record: Read) -> AsideRow:
    """The row that keeps a record which cannot be decoded."""
    return AsideRow(
        place.topic, place.partition, record.offset, record.timestamp * 1000, record.value or b""
    )
