"""What may a handler do with its job's connection, and until when?

Everything a handler gets is behind one gate, which closes when the handler has returned: a task it
left behind gets `TransactionMisused`, and can never write into the next job's transaction.
"""

from __future__ import annotations

import asyncio
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Self

from asyncpg.connresource import ConnectionResource

from processor.adapters.postgres.statements import ending_in, setting_in
from processor.domain.errors import TransactionMisused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType


QUERYING: Final = frozenset(
    {
        "copy_from_query",
        "copy_from_table",
        "copy_records_to_table",
        "copy_to_table",
        "cursor",
        "execute",
        "executemany",
        "fetch",
        "fetchmany",
        "fetchrow",
        "fetchval",
        "get_server_version",
        "is_closed",
        "is_in_transaction",
        "prepare",
    }
)
"""What a handler may use of a connection: nothing that outlives its transaction."""
_TAKE_A_STATEMENT: Final = frozenset(
    {
        "copy_from_query",
        "cursor",
        "execute",
        "executemany",
        "fetch",
        "fetchmany",
        "fetchrow",
        "fetchval",
        "prepare",
    }
)


class Gate:
    """Open while the handler runs."""

    __slots__ = ("_is_open", "_shared", "doubtful", "refused", "running", "touched", "unshareable")

    def __init__(self, *, shared: bool = False) -> None:
        """`shared`: other jobs come after this one in the same transaction."""
        self._is_open = True
        self._shared = shared
        self.unshareable = False
        """The handler wanted what would be the next job's too."""
        self.running = 0
        """Calls that have not come back."""
        self.doubtful = False
        """A call was broken off: nobody knows what the connection is doing."""
        self.refused: str | None = None
        """Why the handler cannot be complete, although it may have swallowed the error."""
        self.touched = asyncio.get_running_loop().time()
        """When the last call came back."""

    def check(self) -> None:
        """Raise `TransactionMisused` once the gate is closed."""
        if not self._is_open:
            raise TransactionMisused(
                "the job's handler has returned: its session and connection are no longer its own"
            )

    def check_statement(self, query: object) -> None:
        """Raise `TransactionMisused`, now and at the end, for what would end the transaction.

        In a shared one also for a setting, which would be the next job's too.
        """
        if not isinstance(query, str):
            return
        if word := ending_in(query):
            self._refuse(
                f"the handler would have ended its job's transaction ({word}): nothing was sent."
                " Leave COMMIT to the job; to undo everything raise an error, to undo a part use a"
                " savepoint (session.begin_nested(), connection.transaction())"
            )
        if self._shared and (word := setting_in(query)):
            self.unshareable = True
            self._refuse(
                f"the handler would have changed a setting ({word}) for the jobs after it, which"
                " share its transaction: nothing was sent"
            )

    def _refuse(self, sentence: str) -> None:
        self.refused = sentence
        raise TransactionMisused(sentence)

    def close(self) -> None:
        """Let nothing through from now on."""
        self._is_open = False

    def __enter__(self) -> Self:
        """Let one call through."""
        self.check()
        self.running += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.running -= 1
        self.touched = asyncio.get_running_loop().time()
        if error is not None and not isinstance(error, Exception):
            self.doubtful = True


class Savepoint:
    """What `connection.transaction()` is inside a job's transaction: `async with`, or by hand."""

    def __init__(self, connection: LentConnection, name: str) -> None:
        self._connection = connection
        self._name = name

    async def start(self) -> None:
        """Remember this point."""
        await self._connection.execute(f"SAVEPOINT {self._name}")

    async def commit(self) -> None:
        """Keep what was done since."""
        await self._connection.execute(f"RELEASE SAVEPOINT {self._name}")

    async def rollback(self) -> None:
        """Undo what was done since, an SQL error included."""
        await self._connection.execute(
            f"ROLLBACK TO SAVEPOINT {self._name}; RELEASE SAVEPOINT {self._name}"
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await (self.commit() if error is None else self.rollback())


class Lent:
    """Something of asyncpg's behind the gate; what it returns is behind the gate as well."""

    __slots__ = ("_gate", "_target")

    def __init__(self, target: Any, gate: Gate) -> None:  # noqa: ANN401 - any of asyncpg's own
        self._target = target
        self._gate = gate

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it stands for has
        self._gate.check()
        value = getattr(self._target, name)
        return _guarded(value, self._gate) if callable(value) else value

    def __await__(self) -> Generator[Any, None, Any]:
        return _finish(_await(self._target), self._gate).__await__()

    async def __aenter__(self) -> Any:  # noqa: ANN401
        return await _finish(self._target.__aenter__(), self._gate)

    async def __aexit__(self, *raised: object) -> Any:  # noqa: ANN401
        return await _finish(self._target.__aexit__(*raised), self._gate)

    def __aiter__(self) -> Lent:
        return Lent(aiter(self._target), self._gate)

    async def __anext__(self) -> Any:  # noqa: ANN401
        return await _finish(self._target.__anext__(), self._gate)


class LentConnection(Lent):
    """A job's connection, as its handler has it."""

    __slots__ = ("_savepoints",)

    def __init__(self, target: Any, gate: Gate) -> None:  # noqa: ANN401 - an asyncpg connection
        super().__init__(target, gate)
        self._savepoints = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it stands for has
        if name not in QUERYING:
            self._gate.check()
            raise TransactionMisused(
                f"{name} is not for handlers: the connection belongs to the job's transaction"
            )
        if name not in _TAKE_A_STATEMENT:
            return super().__getattr__(name)
        self._gate.check()
        return _checked(getattr(self._target, name), self._gate)

    def transaction(self) -> Savepoint:
        """A savepoint: the transaction itself is the job's.

        asyncpg's own refuses to start inside a transaction that it did not begin.
        """
        self._gate.check()
        self._savepoints += 1
        return Savepoint(self, f"jobs_handler_{self._savepoints}")


def _guarded(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
        gate.check()
        return _wrapped(function(*arguments, **named), gate)

    return call


def _checked(function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
        gate.check()
        for query in (*arguments[:1], named.get("query"), named.get("command")):
            if query is not None:
                gate.check_statement(query)
        return _wrapped(function(*arguments, **named), gate)

    return call


def _wrapped(result: Any, gate: Gate) -> Any:  # noqa: ANN401
    if isinstance(result, CoroutineType):
        return _finish(result, gate)
    return Lent(result, gate) if isinstance(result, ConnectionResource) else result


async def _await(target: Any) -> Any:  # noqa: ANN401
    return await target


async def _finish(coroutine: Coroutine[Any, Any, Any], gate: Gate) -> Any:  # noqa: ANN401
    try:
        gate.check()
    except TransactionMisused:
        coroutine.close()
        raise
    with gate:
        return _wrapped(await coroutine, gate)
