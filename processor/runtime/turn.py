"""How does one job of a group have its turn?

Its handler runs within the group's own task, but in a context of its own: what it sets there is not
the next job's. It can be broken off without an end to the group: the cancellation goes to where the
handler waits, and is taken back once the handler has returned.
"""

from __future__ import annotations

from enum import Enum
from types import CoroutineType
from typing import TYPE_CHECKING

from processor.runtime.stepping import Over, first_step
from processor.runtime.time_out import TimeOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from processor.runtime.time_out import Patience


class Why(Enum):
    """Why a turn was broken off."""

    LATE = "it took too long"
    STOPPED = "somebody ended the job, or its partition is lost"


class BrokenOff(Exception):  # noqa: N818 - reads as a sentence
    """The turn was broken off, whatever the handler made of it."""


class Turn:
    """One call of a handler in the task of a group."""

    __slots__ = ("_patience", "_time_out", "_when_stuck", "why")

    def __init__(self, patience: Patience, when_stuck: Callable[[], None]) -> None:
        """`when_stuck` is called where the handler goes on long after it was broken off."""
        self.why: Why | None = None
        self._patience = patience
        self._when_stuck = when_stuck
        self._time_out: TimeOut | None = None

    async def of(self, work: Awaitable[object], context: Context, seconds: float) -> object:
        """What it returns; raises `BrokenOff` after so many seconds, or after `break_off`."""
        coroutine = work if isinstance(work, CoroutineType) else _awaited(work)
        step = first_step(coroutine, context)
        if isinstance(step, Over):
            return step.returned
        self._time_out = time_out = TimeOut(seconds, self._patience, self._when_stuck)
        try:
            with time_out:
                returned = await step
        except BaseException as error:
            if not time_out.expired:
                raise
            self.why = self.why or Why.LATE
            raise BrokenOff from error
        finally:
            self._time_out = None
        if time_out.expired:
            self.why = self.why or Why.LATE
            raise BrokenOff
        return returned

    def break_off(self) -> None:
        """Cancel what the handler waits for; nothing where it does not wait, or not any more."""
        if self._time_out is not None and not self._time_out.expired:
            self.why = Why.STOPPED
            self._time_out.end()


async def _awaited(work: Awaitable[object]) -> object:
    return await work
