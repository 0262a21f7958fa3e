"""What is wrong now that no error tells, said so that a person can act on it?

Each trouble is said once when it begins, again every few minutes while it lasts, and once when it
is over. As long as there is any the worker is not ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processor.ports.clock import Clock

SAY_AGAIN: Final = 300.0
"""Seconds after which a trouble that lasts is said again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong."""

    what: str
    """What is wrong, in the same words each time."""
    where: str
    """Lane, partition or group: with `what` it names the trouble."""
    why: str
    """What is known of the reason, which may change while it lasts."""
    mend: str
    """What an operator can do."""

    def __str__(self) -> str:
        """All of it, in one sentence."""
        return f"{self.what} ({self.where}): {self.why}; {self.mend}"


class Readiness(NamedTuple):
    """Whether a worker works as it should."""

    ready: bool
    reasons: tuple[str, ...] = ()
    """Why not, a sentence each."""


@dataclass(slots=True)
class _Lasting:
    trouble: Trouble
    since: float
    said_at: float


class Troubles:
    """Those of one worker, as its watchdogs last saw them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lasting: dict[tuple[str, str], _Lasting] = {}

    @property
    def now(self) -> tuple[Trouble, ...]:
        """Those that last."""
        return tuple(one.trouble for one in self._lasting.values())

    def see(self, what: str, found: Iterable[Trouble]) -> None:
        """Take note of everything that is wrong in one respect; what is not found is over."""
        now = self._clock.monotonic()
        by_name = {(one.what, one.where): one for one in found}
        for name in [one for one in self._lasting if one[0] == what and one not in by_name]:
            over = self._lasting.pop(name)
            log.info("over", what=what, where=name[1], seconds=round(now - over.since))
        for name, trouble in by_name.items():
            lasting = self._lasting.get(name)
            if lasting is None:
                self._lasting[name] = _Lasting(trouble, now, now)
                _say(trouble, 0)
                continue
            lasting.trouble = trouble
            if now - lasting.said_at >= SAY_AGAIN:
                lasting.said_at = now
                _say(trouble, now - lasting.since)


def _say(trouble: Trouble, lasts: float) -> None:
    since = {"for_seconds": round(lasts)} if lasts else {}
    log.error(trouble.what, where=trouble.where, because=trouble.why, do=trouble.mend, **since)
