"""What is kept from running, by whom, and until when?"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from uuid import UUID

    from processor.domain.breaker import BreakerChanged
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
    """The breaker's, of a type: one job at a time is let through, as a probe."""
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
    failed_probes: int = 0
    """One after the other."""
    probe_by: UUID | None = None
    """The worker that probes."""
    probe_at: int | None = None
    """When the next probe may start, at the earliest: while one runs, when its lease ends."""
    probe_due: bool = field(default=False, compare=False)
    """That time had come when the hold was read."""
    rate: int | None = None
    """Of one that is being released: so many jobs a second, by all workers together."""

    @property
    def is_breakers(self) -> bool:
        """Whether the breaker of a type holds it, and probes release it."""
        return self.mode is HoldMode.PROBING


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


def released(kind: str, value: str, rate: int | None) -> str:
    """What the audit says of a release."""
    return f"{kind} {value}" + ("" if rate is None else f", {rate:,} a second")


def by_name(holds: Iterable[Hold]) -> dict[tuple[HoldKind, str], Hold]:
    """The holds by what they name; an operator's goes before the breaker's of the same type."""
    ordered = sorted(holds, key=lambda hold: not hold.is_breakers)
    return {(hold.kind, hold.value): hold for hold in ordered}


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

    async def release(
        self, hold: int | tuple[HoldKind, str], by: str, because: str, rate: int | None = None
    ) -> bool:
        """End a hold, or every hold of a thing; False where none was open.

        With a `rate` it stays open until all that it kept is let out, so many jobs a second.
        """
        ...

    async def finish(self, hold: int) -> bool:
        """End one that is released at a rate, if nothing waits for it any more."""
        ...


class Breaking(Protocol):
    """The holds of the breakers: the same rows. Every method raises `Fault` where nothing answers.

    A probe is a lease on the hold's row, by the database's clock: whoever dies with it only delays
    the next one.
    """

    async def trip(self, type_: str, release: str, because: str, wait: float) -> Hold:
        """Hold a type for the workers of a release; where the breaker does so already, that stands.

        The first probe may start after `wait` seconds.
        """
        ...

    async def probe(self, hold: int, worker: UUID, lease: float) -> bool:
        """Take the lease, or prolong one's own, for so many seconds; False where it is taken."""
        ...

    async def pass_on(self, hold: int, worker: UUID, wait: float | None) -> bool:
        """End a probe, and with it the hold; or have the next one wait so many seconds.

        False where the lease was not this worker's any more, and nothing has changed.
        """
        ...

    async def forsake(self) -> int:
        """End the breakers' holds for releases that no worker has any more; how many."""
        ...


class BreakerNews(Protocol):
    """What subscribers are to be told of breakers; raises `Fault` as the others do."""

    async def untold(self, limit: int) -> list[BreakerChanged]:
        """What they were not told yet, in its order."""
        ...

    async def told(self, news: Collection[BreakerChanged]) -> None:
        """They were told."""
        ...


class AllHolds(Holds, Breaking, BreakerNews, Protocol):
    """All of it, as one adapter gives it to workers."""
