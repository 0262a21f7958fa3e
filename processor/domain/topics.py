"""What are the topics called?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processor.domain.priority import LANES

if TYPE_CHECKING:
    from processor.domain.priority import Priority


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one namespace, e.g. `jobs.critical` for the namespace `jobs`."""

    namespace: str = "jobs"

    def lane(self, lane: Priority) -> str:
        """The topic of a lane."""
        return f"{self.namespace}.{lane.label}"

    @property
    def lanes(self) -> tuple[str, ...]:
        """The four lanes, most urgent first."""
        return tuple(self.lane(lane) for lane in LANES)

    @property
    def events(self) -> str:
        """The journal."""
        return f"{self.namespace}.events"

    @property
    def dead_letters(self) -> str:
        """Facts about dead letters."""
        return f"{self.namespace}.dead-letters"

    @property
    def failed(self) -> str:
        """JobFailed, for subscribers."""
        return f"{self.namespace}.failed"

    @property
    def breakers(self) -> str:
        """BreakerChanged, for subscribers."""
        return f"{self.namespace}.breakers"

    @property
    def news(self) -> tuple[str, ...]:
        """What is for subscribers alone, and kept for a week."""
        return (self.failed, self.breakers)

    @property
    def every(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.lanes, self.events, self.dead_letters, *self.news)
