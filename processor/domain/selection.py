"""Which dead letters does an operator mean?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.domain.instants import date_of

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters that all have to be met; None: whatever it is. Times in microseconds."""

    ids: tuple[UUID, ...] = ()
    """These letters alone, where any are named."""
    type: str | None = None
    place: str | None = None
    """Where the last error was raised."""
    release: str | None = None
    """Of the worker that ran it last."""
    tenant: str | None = None
    died_after: int | None = None
    """At that time or later."""
    died_before: int | None = None
    overtaken: bool | None = None
    """Whether its entity has completed another job since."""
    discarded: bool = False
    """The letters that were discarded, instead of those that are open."""

    @property
    def empty(self) -> bool:
        """Whether it would choose every letter."""
        return self in (EVERY, DISCARDED)

    def words(self) -> str:
        """The filters in words, for a person."""
        said = [f"{len(self.ids):,} named"] if self.ids else []
        for name in ("type", "place", "release", "tenant"):
            value = getattr(self, name)
            if value is not None:
                said.append(f"{name} {value}")
        if self.died_after is not None:
            said.append(f"died since {_time(self.died_after)}")
        if self.died_before is not None:
            said.append(f"died before {_time(self.died_before)}")
        if self.overtaken is not None:
            said.append("overtaken" if self.overtaken else "not overtaken")
        if self.discarded:
            said.append("discarded")
        return ", ".join(said) or "all"


def _time(at: int) -> str:
    return date_of(at).isoformat(timespec="seconds")


EVERY: Final = Selection()
"""Every open letter."""
DISCARDED: Final = Selection(discarded=True)
