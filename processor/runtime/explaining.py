"""Why is one job not running, on the word of everything that decides it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.errors import Unavailable
from processor.domain.events import Queued, Retrying
from processor.domain.explanation import Cause
from processor.domain.ids import entity_key
from processor.domain.outcome import Outcome
from processor.ports.codec import Undecodable
from processor.ports.situations import Seat
from processor.runtime.asked import Asked
from processor.runtime.causes import cause_of
from processor.runtime.untold import not_projected, status_of_recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processor.domain.explanation import Explanation
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.codec import Codec
    from processor.ports.situations import Situations
    from processor.ports.waiting_room import Waiting
    from processor.runtime.asking import Asker


class Explainer:
    """Explains jobs; `grace` and `look_ahead` are the workers' settings."""

    def __init__(
        self,
        asker: Asker,
        situations: Situations,
        codec: Codec,
        *,
        grace: float,
        look_ahead: int,
        lag: Callable[[int], Awaitable[int | None]],
    ) -> None:
        """`lag`: records of a partition's journal that the history has not folded, if known."""
        self._lag = lag
        self._asker = asker
        self._situations = situations
        self._codec = codec
        self._grace = grace
        self._look_ahead = look_ahead

    async def explain(self, job: JobId) -> Explanation:
        """What keeps it; raises `JobNotFound`, or `Unavailable` where nobody can say yet.

        The snapshot is taken after the history was asked: what it holds is the newer word.
        """
        try:
            status = await self._asker.life(job)
        except Unavailable:
            known = await self._recorded(job)
            if known is None:
                raise
            status = known
        seat = await self._situations.seat(job) or seat_of(status)
        found = await self._situations.of(job, seat)
        asked = Asked(status, seat, found, self._grace, self._look_ahead, self._failed)
        cause = cause_of(asked)
        if cause.cause is Cause.NOT_PROJECTED:
            return not_projected(cause, seat, await self._lag(seat.partition))
        return cause

    async def _recorded(self, job: JobId) -> JobStatus | None:
        """A job of which the history, which is behind, does not tell."""
        recorded = await self._situations.recorded(job)
        return None if recorded is None else status_of_recorded(job, recorded, self._codec)

    def _failed(self, row: Waiting) -> Retrying | None:
        if row.wait.body is None:
            return None
        try:
            outcome = self._codec.decode_journal(row.wait.body)
        except Undecodable:
            return None
        events = outcome.events if isinstance(outcome, Outcome) else ()
        return next((one for one in reversed(events) if isinstance(one, Retrying)), None)


def seat_of(status: JobStatus) -> Seat:
    """Where the history says that a job's record stands."""
    queued = next(
        one.event
        for one in reversed(status.history)
        if isinstance(one.event, Queued) and one.event.generation == status.generation
    )
    key = entity_key(status.tenant, status.entity)
    return Seat(queued.partition, queued.lane, key, queued.offset)
