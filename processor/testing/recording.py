"""What does a handler call on what it writes through, and which of it is committed?"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from processor.testing.member import this_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    Make = Callable[[], object]


class Nothing:
    """Stands for a session or connection: any call gives None, awaited or not."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        return lambda *_, **__: _None()


class _None:
    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class Recording:
    """Lends what is made for each transaction; `commits` are the calls of those that committed."""

    def __init__(
        self, session: Make | None, connection: Make | None, commits: list[tuple[str, ...]]
    ) -> None:
        self._session = session or Nothing
        self._connection = connection or Nothing
        self._commits = commits

    async def lend(self) -> Recorded:
        """Begin a transaction."""
        return Recorded(self._session, self._connection, self._commits)


class Recorded:
    """Implements `processor.adapters.memory.transactions.Beside`."""

    def __init__(self, session: Make, connection: Make, commits: list[tuple[str, ...]]) -> None:
        self._calls: list[str] = []
        self._commits = commits
        self._session = _Heard("session", session(), self._calls)
        self._connection = _Heard("connection", connection(), self._calls)

    @property
    def rolled_back(self) -> bool:
        """See `Beside`."""
        return "session.rollback" in self._calls

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
        self._commits.append(tuple(self._calls))

    async def rollback(self) -> None:
        """See `Beside`."""

    def abandon(self) -> None:
        """See `Beside`."""


class _Heard:
    """Passes calls on and writes them down; one that is awaited is a call of a port too."""

    def __init__(self, name: str, target: object, calls: list[str]) -> None:
        self._name = name
        self._target = target
        self._calls = calls

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it stands for has
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
            self._calls.append(f"{self._name}.{name}")
            answer = value(*arguments, **named)
            called = f"{self._name}.{name}"
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
