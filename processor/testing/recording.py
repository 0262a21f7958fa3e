"""What does a handler call on what it writes through, and which of it is committed?"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from processor.testing.member import this_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from processor.ports.transactions import Claim

    Make = Callable[[], object]
    Keep = Callable[[Claim, "tuple[Call, ...]"], None]


class Call(NamedTuple):
    """One call of a handler on its session or connection."""

    name: str
    """For instance `connection.execute`."""
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]


class Nothing:
    """Stands for a session or connection: any call gives None, awaited or not."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        return lambda *_, **__: _None()


class _None:
    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class Recording:
    """Lends what is made for each transaction; `keep` gets the calls of those that committed."""

    def __init__(self, session: Make | None, connection: Make | None, keep: Keep) -> None:
        self._session = session or Nothing
        self._connection = connection or Nothing
        self._keep = keep

    async def lend(self, claim: Claim) -> Recorded:
        """Begin a transaction."""
        return Recorded(self._session, self._connection, partial(self._keep, claim))


class Recorded:
    """Implements `processor.adapters.memory.transactions.Beside`."""

    def __init__(
        self, session: Make, connection: Make, keep: Callable[[tuple[Call, ...]], None]
    ) -> None:
        self._calls: list[Call] = []
        self._keep = keep
        self._session = _Heard("session", session(), self._calls)
        self._connection = _Heard("connection", connection(), self._calls)

    @property
    def rolled_back(self) -> bool:
        """See `Beside`."""
        return any(call.name == "session.rollback" for call in self._calls)

    def connection(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Beside`."""
        return self._connection

    def session(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Beside`."""
        return self._session

    async def seal(self) -> None:
        """See `Beside`."""

    async def commit(self) -> None:
        """See `Beside`."""
        self._keep(tuple(self._calls))

    async def rollback(self) -> None:
        """See `Beside`."""

    def abandon(self) -> None:
        """See `Beside`."""


class _Heard:
    """Passes calls on and writes them down; one that is awaited is a call of a port too."""

    def __init__(self, name: str, target: object, calls: list[Call]) -> None:
        self._name = name
        self._target = target
        self._calls = calls

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it stands for has
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
            called = f"{self._name}.{name}"
            self._calls.append(Call(called, arguments, named))
            answer = value(*arguments, **named)
            return _Answered(called, answer) if inspect.isawaitable(answer) else answer

        return call


class _Answered:
    """An answer that is on its way once it is awaited."""

    def __init__(self, name: str, answer: Awaitable[Any]) -> None:
        self._name = name
        self._answer = answer

    def __await__(self) -> Generator[Any, Any, Any]:
        return _answered(self._name, self._answer).__await__()


async def _answered(name: str, answer: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever it gives
    lost: BaseException | None
    try:
        lost = await this_process().passes(name)
    except BaseException:
        if inspect.iscoroutine(answer):
            answer.close()
        raise
    given = await answer
    if lost is not None:
        raise lost
    return given
