"""Which suspect may be decoded or run now?

One at a time in a process, so that its death leaves no doubt. A suspect whose turn has not come
goes back into its mailbox, and its entity is set aside; everybody else goes on. What is to be
decoded goes before what is to be run: behind it wait records that nobody suspects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.errors import WorkerLost
from processor.runtime.failing import detail_of

if TYPE_CHECKING:
    from processor.domain.events import ErrorDetail
    from processor.domain.quarantine import Suspect
    from processor.ports.clock import Clock
    from processor.runtime.delivery import Delivery
    from processor.runtime.memory import Memory

DECODING_FIRST = 1.0
"""Seconds that no suspect starts after one could not be decoded: who wants to comes again."""


class Admission:
    """The one turn of a process, and who waits for it."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._holder: object | None = None
        self._decoding_until = 0.0
        self._aside: dict[int, None] = {}

    def admits(self, taken: Delivery) -> bool:
        """Whether a job that was taken may start; else it is back where it was.

        One that is convicted may, and ends without its handler.
        """
        quarantine = taken.partition.quarantine
        if quarantine is None or taken.corrupt is not None:
            return True
        proof = quarantine.convicted(taken.lane, taken.offset)
        if proof is not None:
            taken.corrupt = verdict(proof)
            return True
        if not quarantine.suspects(taken.lane, taken.offset, waits=taken.waits):
            return True
        if self._is_free():
            self._holder = taken
            return True
        self._memory.put_back(taken)
        self._memory.mailboxes.set_aside(taken.entity)
        self._aside[taken.entity] = None
        return False

    def call_next(self) -> bool:
        """Let the entity that waits longest send a job; False where none waits, or none may."""
        if not self._aside or not self._is_free():
            return False
        entity = next(iter(self._aside))
        del self._aside[entity]
        self._memory.mailboxes.resume(entity)
        return True

    def may_decode(self, who: object) -> bool:
        """Take the turn to decode; False while somebody else has it: ask again soon."""
        if self._holder is None:
            self._holder = who
            return True
        self.want_to_decode()
        return False

    def want_to_decode(self) -> None:
        """There is more to decode."""
        self._decoding_until = self._clock.monotonic() + DECODING_FIRST

    def has_turn(self, who: object) -> bool:
        """Whether it is who decodes or runs a suspect now."""
        return self._holder is who

    def ended(self, who: object) -> None:
        """Give the turn back, if one had it."""
        if self._holder is who:
            self._holder = None

    def _is_free(self) -> bool:
        return self._holder is None and self._clock.monotonic() >= self._decoding_until


def verdict(proof: Suspect) -> ErrorDetail:
    """Why a record ends that killed its workers."""
    what = "decoding this record" if proof.is_unreadable else "running this job"
    said = f"{proof.deaths} workers died, each while {what} as its only suspect"
    return detail_of(WorkerLost(said))
