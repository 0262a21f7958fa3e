"""Is a worker dead?

Dead means: its counter did not move while at least three of our own reads, spread over at least
three seconds, succeeded. Never an age by a clock: a pause of the database kills nobody (H25).
Whoever owns something is known before: an owner that a later read does not know has left.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

SECONDS_WITHOUT_A_BEAT: Final = 3.0
READS_WITHOUT_A_BEAT: Final = 3


@dataclass(slots=True)
class _Seen:
    beat: int
    moved_at: float
    reads_since: int = 0


class Pulses:
    """What one observer has seen of everybody's beats."""

    def __init__(self, patience: float = SECONDS_WITHOUT_A_BEAT) -> None:
        self._seen: dict[UUID, _Seen] = {}
        self._patience = patience
        self._asked_at = -inf

    def observe(self, beats: Mapping[UUID, int], now: float, asked_at: float | None = None) -> None:
        """Take note of a read that succeeded; `now` in seconds that never go back.

        `asked_at`: when the read began, where that was earlier.
        """
        self._asked_at = now if asked_at is None else asked_at
        for worker, beat in beats.items():
            seen = self._seen.get(worker)
            if seen is None or seen.beat != beat:
                self._seen[worker] = _Seen(beat, now)
            else:
                seen.reads_since += 1
        for worker in self._seen.keys() - beats.keys():
            del self._seen[worker]

    def has_beaten_since(self, worker: UUID, moment: float) -> bool:
        """Whether a worker is known to have lived after that moment."""
        seen = self._seen.get(worker)
        return seen is not None and seen.moved_at > moment

    def dead(self, worker: UUID, now: float, owned_at: float) -> bool:
        """Whether a worker is known to be dead: it left for good, or stopped beating.

        `owned_at`: when it was first seen to own something. It may have come since the last read.
        """
        seen = self._seen.get(worker)
        if seen is None:
            return self._asked_at > owned_at
        return seen.reads_since >= READS_WITHOUT_A_BEAT and now - seen.moved_at >= self._patience
