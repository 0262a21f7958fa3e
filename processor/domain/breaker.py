"""When do the failures of a type hold it, and when is it tried again?

Pure and without a clock: a `Trend` is what is remembered of a type, result by result. It begins
with a failure and forgets itself once the failures have slid out of it, so that nothing is
remembered of a type that works. A job counts once, by its latest result: one job that fails again
and again does not hold the others of its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from processor.domain.errors import ConfigurationError
from processor.domain.events import Reason
from processor.domain.ids import breaker_event_id

if TYPE_CHECKING:
    from uuid import UUID

    from processor.domain.ids import JobId

NAME: Final = "the breaker"
"""Who holds and releases, as a hold tells."""
UNCOUNTED: Final = frozenset({Reason.TRY_AGAIN, Reason.HANDLER_MISSING, Reason.WORKER_LOST})
"""Failures that say nothing of the handler: it asked for more time, was not there, or did not run
to an end."""
_DOUBLINGS: Final = 32
"""More of them are beyond any wait."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a type's failing attempts hold it, for the workers of one release, and for how long.

    Attempts are counted, not dead letters: an outage is seen before it has cost a job its last
    attempt. Every reason counts, parse errors too, save those of `UNCOUNTED`.
    """

    run: int = 10
    """So many jobs failed one after the other. By chance that happens once in a billion where one
    job in eight fails, and where everything fails it costs ten attempts."""
    ratio: float = 0.5
    """Or this share of the last `of` jobs since the first of them that failed."""
    of: int = 50
    wait: float = 5.0
    """Seconds until the first probe; doubled after each one that fails."""
    longest: float = 300.0
    """Seconds between two probes at most."""

    def __post_init__(self) -> None:
        """Refuse what would hold always, or never be tried again."""
        if self.run < 1 or self.of < 1 or not 0 < self.ratio <= 1:
            message = (
                "a breaker needs run and of of at least 1, and a ratio above 0 and up to 1;"
                f" not {self.run}, {self.of} and {self.ratio}"
            )
            raise ConfigurationError(message)
        if not 0 < self.wait <= self.longest < float("inf"):
            message = (
                "a breaker needs a wait above 0 seconds and not beyond its longest;"
                f" not {self.wait} and {self.longest}"
            )
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Trend:
    """The latest result of each of a type's last jobs, the newest last: whether it failed."""

    results: tuple[tuple[JobId, bool], ...] = ()

    @property
    def failed_in_a_row(self) -> int:
        """Jobs that failed since the last one that did not."""
        return sum(1 for _ in takewhile(lambda result: result[1], reversed(self.results)))

    @property
    def failed(self) -> int:
        """Jobs that failed, of all."""
        return sum(failed for _, failed in self.results)


NOTHING: Final = Trend()
"""What is remembered of a type that works."""


def after(trend: Trend, breaker: Breaker, job: JobId, *, failed: bool) -> Trend:
    """The trend with one more result."""
    if not failed and not trend.results:
        return trend
    others = tuple(result for result in trend.results if result[0] != job)
    results = (*others, (job, failed))[-breaker.of :]
    first = next((at for at, (_, failed) in enumerate(results) if failed), len(results))
    return Trend(results[first:])


def verdict(trend: Trend, breaker: Breaker) -> str | None:
    """Why the type is to be held, in words; None where it is not."""
    row, total = trend.failed_in_a_row, len(trend.results)
    if row >= breaker.run:
        return f"{row:,} jobs failed one after the other"
    if total >= breaker.of and trend.failed >= breaker.ratio * total:
        return f"{trend.failed:,} of {total:,} jobs failed"
    return None


def wait_after(breaker: Breaker, failed_probes: int) -> float:
    """Seconds until the next probe, after so many that failed one after the other."""
    return min(breaker.longest, breaker.wait * 2.0 ** min(failed_probes, _DOUBLINGS))


class BreakerState(StrEnum):
    """What a breaker has become."""

    OPEN = "open"
    """It holds its type."""
    CLOSED = "closed"
    """Its hold was released, by a probe that succeeded or by an operator."""


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """An event of the EventBus: the breaker of a type holds it, or does so no longer."""

    state: BreakerState
    type: str
    release: str
    """The release whose workers hold it; those of others go on."""
    hold: int
    """The hold's number: that of its opening and of its closing is the same."""
    because: str
    by: str
    """`the breaker`, or the operator who released it."""
    at: int
    """Microseconds since the epoch."""
    opened_at: int

    @property
    def event_id(self) -> UUID:
        """By which a subscriber recognises a copy."""
        return breaker_event_id(self.hold, self.opened_at, self.state)
