"""How is a coroutine taken as far as it goes without waiting, and on from there if need be?

Theory of operation. A coroutine that never waits ends in its first step, and needs no task of its
own for that: whoever has a task makes the step for it. Where it does wait, what the step gave back
is what its task has to wait for, and `Rest` hands that on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextvars import Context


class Over:
    """What a coroutine returned that did not have to wait."""

    __slots__ = ("returned",)

    def __init__(self, returned: object) -> None:
        self.returned = returned


class Rest:
    """What is left of a coroutine that has made its first step; to be awaited, once."""

    __slots__ = ("_context", "_coroutine", "_waits_for")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], waits_for: object, context: Context | None
    ) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        run = _directly if self._context is None else self._context.run
        send: Any = self._coroutine.send
        throw: Any = self._coroutine.throw
        waits_for = self._waits_for
        while True:
            try:
                wakes = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to the coroutine
                move, value = throw, error
            else:
                move, value = send, wakes
            try:
                waits_for = run(move, value)
            except StopIteration as over:
                return over.value


def _directly(move: Any, value: Any) -> Any:  # noqa: ANN401 - a coroutine's send or throw
    return move(value)


def first_step(coroutine: Coroutine[Any, Any, Any], context: Context | None = None) -> Over | Rest:
    """Make the first step, within `context` if one is given; raises what the coroutine raises."""
    try:
        step = coroutine.send
        waits_for = step(None) if context is None else context.run(step, None)
    except StopIteration as over:
        return Over(over.value)
    return Rest(coroutine, waits_for, context)
