"""How does a client learn of a job's state, and never hear *unknown* of what it submitted?

The history lags behind the log. An answer that would deny a job is therefore given only once the
history has passed the place where that job would stand: the acknowledged place of what this client
submitted itself, else the ends of all lanes as they stood when it was asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from processor.domain.errors import JobNotComplete, JobNotFound, Unavailable
from processor.domain.horizon import ended_before
from processor.domain.job import ENDED, State
from processor.domain.priority import LANES
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.history import History
    from processor.runtime.acknowledged import Acknowledged

    Why = Callable[[JobStatus], Awaitable[str | None]]
    Ends = Callable[[], Awaitable[Mapping[Place, int]]]

PATIENCE: Final = 2.0
"""Seconds that an answer waits for the history to come so far."""

_SHORTEST, _LONGEST = 0.005, 0.1
_WORDS: Final = {State.FAILED: "failed", State.CANCELLED: "was cancelled"}


def places_of(topics: Topics, partitions: int) -> list[Place]:
    """Every partition of every lane."""
    return [Place(topics.lane(lane), number) for lane in LANES for number in range(partitions)]


class Asker:
    """Answers what became of a job.

    `ends` tells where the lanes end now, `why` what a job waits for.
    """

    def __init__(
        self,
        history: History,
        acknowledged: Acknowledged,
        ends: Ends,
        clock: Clock,
        *,
        patience: float = PATIENCE,
        why: Why | None = None,
    ) -> None:
        self._why = why
        self._history = history
        self._acknowledged = acknowledged
        self._ends = ends
        self._clock = clock
        self._patience = patience

    async def status(self, job: JobId) -> JobStatus:
        """What is known of a job.

        Of what this client submitted it is never unknown: where the history does not come so far
        in time, the answer is `queued` and `as_of` says when that was true. Of any other job
        raises `JobNotFound`, or `Unavailable` where the history is too far behind to deny it.
        """
        status = await self.life(job)
        if self._why is None:
            return status
        return replace(status, waits_for=await self._why(status))

    async def life(self, job: JobId) -> JobStatus:
        """The same without what the job waits for."""
        return await self._status(job, self._patience)

    async def result(self, job: JobId, timeout: float) -> Any:  # noqa: ANN401 - whatever it returned
        """What the handler returned, once the job is complete.

        Raises `JobNotComplete` when the job failed, was cancelled, or has not ended in time;
        `JobNotFound` at once; `Unavailable` only when the time is over: until then a history that
        is behind, or a database that is away, is waited for.
        """
        deadline = self._clock.monotonic() + timeout
        pause = _SHORTEST
        while True:
            left = max(0.0, deadline - self._clock.monotonic())
            try:
                status = await self._status(job, min(self._patience, left))
            except Unavailable:
                if not left:
                    raise
            else:
                if status.state in ENDED:
                    return _result_of(status)
                if not left:
                    raise JobNotComplete(f"job {job} is still {status.state} after {timeout:g} s")
            await self._clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST)

    async def _status(self, job: JobId, patience: float) -> JobStatus:
        found = await self._told(job)
        if found is not None:
            return found
        own = self._acknowledged.find(job)
        awaited = await self._ends() if own is None else {own.place: own.offset + 1}
        behind = await self._wait_for(awaited, patience)
        found = await self._told(job)
        if found is None and own is not None:
            # Once the history has passed it, what it does not tell after so long it has forgotten.
            forgotten = not behind and own.at < ended_before(self._clock.now())
            found = None if forgotten else own.status(job)
        if found is not None:
            return found
        if behind:
            raise Unavailable(
                f"whether there is a job {job} is not known yet: the history is behind in"
                f" {behind} of {len(awaited)} partitions; is a projector running?"
            )
        raise JobNotFound(f"there is no job {job}")

    async def reach(self, positions: Mapping[Place, int]) -> bool:
        """Wait a little for the history to have passed these offsets; whether it has."""
        return not await self._wait_for(positions, self._patience)

    async def seen(self, job: JobId) -> JobStatus | None:
        """What is known of a job now, without waiting; None where nothing is."""
        found = await self._told(job)
        own = self._acknowledged.find(job)
        return own.status(job) if found is None and own is not None else found

    async def _told(self, job: JobId) -> JobStatus | None:
        """What the history says; None while it has not come to a replay of this client's own."""
        found = await self._history.status(job)
        own = self._acknowledged.find(job)
        if found is None or own is None or found.state is not State.FAILED:
            return found
        return None if found.generation < own.generation else found

    async def _wait_for(self, awaited: Mapping[Place, int], patience: float) -> int:
        """Wait until the history has passed these offsets; how many places it has not."""
        deadline = self._clock.monotonic() + patience
        pause = _SHORTEST
        behind = [place for place, end in awaited.items() if end > 0]
        while True:
            behind = [place for place in behind if await self._history.seen(place) < awaited[place]]
            left = deadline - self._clock.monotonic()
            if not behind or left <= 0:
                return len(behind)
            await self._clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST)


def _result_of(status: JobStatus) -> Any:  # noqa: ANN401 - whatever the handler returned
    if status.state is State.COMPLETE:
        return from_json(status.result or b"null")
    error = status.current.error
    why = f": {error.reason}: {error.message}" if status.state is State.FAILED and error else ""
    raise JobNotComplete(f"job {status.job_id} {_WORDS[status.state]}{why}")
