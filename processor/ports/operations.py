"""Who was the first to replay or to discard a dead letter?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processor.domain.ids import JobId


class OperationKind(StrEnum):
    """What operators do with a dead letter."""

    REPLAY = "replay"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked for, and by whom first."""

    kind: OperationKind
    job: JobId
    generation: int
    actor: str
    reason: str
    at: int
    """Microseconds since the epoch, by the database's clock."""
    ours: bool
    """Whether this call was the first."""


class Operations(Protocol):
    """The record of operations; the first insert wins. Raises `Fault` where nothing answers."""

    async def first(
        self, kind: OperationKind, job: JobId, generation: int, actor: str, because: str
    ) -> Operation:
        """Write it down, or read who did so before; asking again changes nothing."""
        ...

    async def of(self, job: JobId, generation: int) -> list[Operation]:
        """What was asked for of this generation's dead letter; none of it counts as ours."""
        ...
