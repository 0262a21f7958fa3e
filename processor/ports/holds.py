"""What is kept from running, by whom, and until when?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processor.domain.priority import Priority


class HoldKind(StrEnum):
    """What a hold names."""

    TYPE = "type"
    ENTITY = "entity"
    TENANT = "tenant"
    LANE = "lane"


class HoldMode(StrEnum):
    """How far a hold holds, as the table has it."""

    HELD = "h"
    PROBING = "p"
    """Half open: one probe at a time."""
    RELEASING = "r"
    """Released at a rate."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An open hold. Times are microseconds since the epoch, by the database's clock."""

    id: int
    kind: HoldKind
    value: str
    release: str | None
    """Only workers of this release are held; None: all of them."""
    why: str
    by: str
    since: int
    until: int | None = None
    """It ends by itself then."""
    mode: HoldMode = HoldMode.HELD


def names_of(
    type_: str, entity: str, tenant: str | None, lane: Priority
) -> tuple[tuple[HoldKind, str], ...]:
    """By what a job can be held, in the order in which holds are looked for."""
    return (
        (HoldKind.TYPE, type_),
        (HoldKind.ENTITY, entity),
        (HoldKind.TENANT, tenant or ""),
        (HoldKind.LANE, lane.label),
    )


class Holds(Protocol):
    """The holds that all workers share. Every method raises `Fault` where nothing answers."""

    async def open(self) -> list[Hold]:
        """Every open hold, the oldest first."""
        ...

    async def hold(
        self, kind: HoldKind, value: str, by: str, because: str, until: int | None = None
    ) -> Hold:
        """Hold it; where it is held already the first hold stands, and ends at the later end.

        `until` in microseconds since the epoch; None: until somebody releases it.
        """
        ...

    async def release(self, hold: int | tuple[HoldKind, str], by: str, because: str) -> bool:
        """End a hold, or every hold of a thing; False where none was open."""
        ...
