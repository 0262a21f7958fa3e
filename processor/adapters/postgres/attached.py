"""How does SQLAlchemy see a connection that is ours? The only module here that imports it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from processor.adapters.postgres.lending import LentConnection
from processor.domain.errors import TransactionMisused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from processor.adapters.postgres.lending import Gate


class Attached:
    """SQLAlchemy's side of one of our connections, checked out for as long as that lives."""

    def __init__(self, connection: AsyncConnection, proxied: PoolProxiedConnection) -> None:
        self._connection = connection
        self.proxied = proxied

    async def close(self) -> None:
        """Close the connection in peace."""
        await self._connection.close()

    def terminate(self) -> None:
        """Let SQLAlchemy drop the connection, closing it at once."""
        sync = self._connection.sync_connection
        if sync is not None and not sync.closed:
            sync.invalidate()


class Refused(TransactionMisused, DontWrapMixin):
    """`TransactionMisused` as SQLAlchemy lets it through, not wrapped into a statement's error."""


class LentToJob(PoolProxiedConnection):
    """The connection as one job's SQLAlchemy connection sees it: behind the job's gate.

    Statements pass while the gate is open. What would begin, end or close anything stops here.
    """

    def __init__(self, attached: Attached, gate: Gate) -> None:
        self._proxied = attached.proxied
        self.dbapi_connection = attached.proxied.dbapi_connection
        # The driver's own would pass by the gate.
        self.driver_connection = LentConnection(attached.proxied.driver_connection, gate)
        self._gate = gate

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the driver's own settings
        return getattr(self._proxied, name)

    def cursor(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - a DBAPI cursor
        """Start a statement."""
        try:
            self._gate.check()
        except TransactionMisused as error:
            raise Refused(*error.args) from None
        return self._proxied.cursor(*arguments, **named)

    def check_statement(self, query: str) -> None:
        """Refuse what would end the job's transaction."""
        try:
            self._gate.check_statement(query)
        except TransactionMisused as error:
            raise Refused(*error.args) from None

    def commit(self) -> None:
        """Wait for the job's own COMMIT."""

    def rollback(self) -> None:
        """Leave it to the job: SQLAlchemy's transaction is marked, and the attempt fails."""

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - SQLAlchemy's signature
        """A statement was broken off: the connection is not used again."""
        self._gate.doubtful = True

    def close(self) -> None:
        """Stay with the job."""

    def detach(self) -> None:
        """Stay with the job."""

    @property
    def is_valid(self) -> bool:
        """Whether a job may still use it."""
        return not self._gate.doubtful

    @property
    def is_detached(self) -> bool:
        """Never: it belongs to the job."""
        return False


def engine_over(give: Callable[[], Awaitable[Any]]) -> AsyncEngine:
    """An engine whose connections are those that `give` gives."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        async_creator=give,
    )
    event.listen(engine.sync_engine, "before_cursor_execute", _check_statement)
    return engine


def _check_statement(connection: Any, _cursor: object, statement: str, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's
    if isinstance(connection.connection, LentToJob):
        connection.connection.check_statement(statement)


async def attach(engine: AsyncEngine) -> Attached:
    """Make SQLAlchemy's side of the connection that the engine is given now."""
    connection = await engine.connect()
    return Attached(connection, await connection.get_raw_connection())
