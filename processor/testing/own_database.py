"""On which database of a test's own do the handlers of a harness write?

Their effects and the ledger, which is in memory, are in two databases: the one is committed just
before the other. A session behaves as a worker's does: `commit()` waits for the job's own end,
`rollback()` fails the attempt.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self

from processor.adapters.postgres.lending import Gate, LentConnection
from processor.adapters.postgres.sessions import Opened
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

    from processor.adapters.postgres.sessions import Sessions
    from processor.ports.transactions import Claim
    from processor.testing.virtual_time import VirtualTimeLoop

AWAY = ("do_connect", "checkout")
BACK = ("connect", "checkin")


class NoDatabase:
    """Refuses every transaction, and remembers that one was wanted."""

    def __init__(self) -> None:
        self.missed: ConfigurationError | None = None

    async def lend(self, _: Claim) -> Borrowed:
        """Raise what says how to mend it."""
        self.missed = ConfigurationError(
            "a handler asks for its transaction, and this harness has no database: make it with"
            " Harness(jobs, sessions=…), a sessionmaker bound to an engine of the test's own"
        )
        raise self.missed


class OwnDatabase:
    """Lends transactions of the engine that a sessionmaker is bound to, `with`.

    While a connection is out or being made, time is slow to pass.
    """

    def __init__(self, sessions: Sessions, loop: VirtualTimeLoop) -> None:
        self._sessions = sessions
        self._loop = loop
        self._engine = _engine_of(sessions)
        self._listeners = [(name, self._left) for name in AWAY]
        self._listeners += [(name, self._came_back) for name in BACK]

    def __enter__(self) -> Self:
        from sqlalchemy import event  # noqa: PLC0415 - only where sessions are wanted

        for name, listener in self._listeners:
            event.listen(self._engine.sync_engine, name, listener)
        return self

    def __exit__(self, *_: object) -> None:
        from sqlalchemy import event  # noqa: PLC0415 - the same

        for name, listener in self._listeners:
            event.remove(self._engine.sync_engine, name, listener)

    async def lend(self, _: Claim) -> Borrowed:
        """Begin a transaction; raises what the database answers."""
        connection = await self._engine.connect()
        try:
            transaction = await connection.begin()
            await connection.exec_driver_sql("SELECT 1")  # drivers begin with the first statement
            raw = (await connection.get_raw_connection()).driver_connection
        except BaseException:
            await connection.close()
            raise
        session = self._sessions(bind=connection, join_transaction_mode="rollback_only")
        gate = Gate()
        guarded = LentConnection(raw, gate) if self._engine.dialect.driver == "asyncpg" else raw
        opened = Opened(session, transaction.sync_transaction)
        return Borrowed(connection, transaction, opened, guarded, gate)

    def _left(self, *_: object) -> None:
        self._loop.leave()

    def _came_back(self, *_: object) -> None:
        self._loop.back()


class Borrowed:
    """Implements `processor.adapters.memory.transactions.Beside`."""

    def __init__(
        self,
        connection: AsyncConnection,
        transaction: AsyncTransaction,
        opened: Opened,
        raw: object,
        gate: Gate,
    ) -> None:
        self._connection = connection
        self._transaction = transaction
        self._opened = opened
        self._raw = raw
        self._gate = gate

    @property
    def rolled_back(self) -> bool:
        """See `Beside`."""
        return self._opened.rolled_back

    def connection(self) -> Any:  # noqa: ANN401 - the driver's own
        """See `Beside`."""
        return self._raw

    def session(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Beside`."""
        return self._opened.session

    async def seal(self) -> None:
        """See `Beside`."""
        await self._opened.flush()
        self._gate.close()

    async def commit(self) -> None:
        """See `Beside`."""
        try:
            self._opened.close()
            await self._transaction.commit()
        finally:
            await self._connection.close()

    async def rollback(self) -> None:
        """See `Beside`."""
        self._gate.close()
        self._opened.close()
        with suppress(Exception):  # a connection that broke is undone
            await self._transaction.rollback()
        await self._connection.close()

    def abandon(self) -> None:
        """See `Beside`."""
        # in no process of a worker, whose tasks die with it
        asyncio.get_running_loop().create_task(self.rollback(), context=Context())


def _engine_of(sessions: Sessions) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415 - only where it is wanted

    bound = sessions().bind
    if not isinstance(bound, AsyncEngine):
        raise ConfigurationError(
            "sessions must be bound to an engine of the test's own:"
            " async_sessionmaker(create_async_engine(…))"
        )
    return bound
