"""How does an attempt begin, and end at once where its handler does not wait?

Theory of operation. Most handlers that touch no database end in their first step. For those nothing
is made but what their outcome needs: no coroutine of ours, no time-out. Every other goes on from
where it waits, or from what it raised, as `Attempts` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.runtime.stepping import Over

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from processor.runtime.attempt import Attempts
    from processor.runtime.delivery import Delivery
    from processor.runtime.handlers import Handler
    from processor.runtime.run import Run


class Starting:
    """Takes attempts as far as they go at once."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._with = attempts.collaborators

    def start(self, delivery: Delivery) -> Coroutine[Any, Any, None] | None:
        """What is left to do of an attempt, to be awaited; None where it has ended."""
        handler = self._with.jobs.find(delivery.record.type)
        if (
            handler is None
            or handler.in_thread
            or delivery.corrupt is not None
            or not delivery.partition.open
            or self._with.breakers.keeps(delivery)
        ):
            return self._attempts.run(delivery)
        run = self._attempts.begin(delivery)
        delivery.running = run
        try:
            rest = self._called(run, handler)
        except BaseException as error:  # noqa: BLE001 - the handler's own, told where it belongs
            run.returned = True
            rest = self._attempts.go_on(run, handler, _raised(error))
        if rest is None:
            self._attempts.over(run)
        return rest

    def _called(self, run: Run, handler: Handler[Any]) -> Coroutine[Any, Any, None] | None:
        caller, attempts = self._with.caller, self._attempts
        first = caller.first(run, handler)
        if not isinstance(first, Over):
            return attempts.go_on(
                run, handler, caller.rest(run, handler, first, attempts.leave_behind)
            )
        run.returned = True
        result = caller.result(run, first.returned)
        if run.opening is not None:
            return attempts.go_on(run, handler, _given(result))
        body = attempts.completed(run, result)
        self._with.flusher.add(run.delivery, body, follow_ups=run.follow_ups is not None)
        return None


async def _given(result: bytes) -> bytes:
    return result


async def _raised(error: BaseException) -> bytes:
    raise error
