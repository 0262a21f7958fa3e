"""How does a handler get an SQLAlchemy session on the connection that holds its transaction?

SQLAlchemy's side of a connection is made once and kept with it; its isolation level is AUTOCOMMIT,
so that it sends no BEGIN or COMMIT of its own into a transaction that is ours. Each job gets an
SQLAlchemy connection of its own over it, behind the job's gate, and a session that joins a
transaction which exists only in the library: the session's commit() therefore waits for ours, its
savepoints are real, its rollback() marks the transaction, which `Opened.rolled_back` tells.
SQLAlchemy is not imported before the first session is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from processor.adapters.postgres.lending import Gate
    from processor.adapters.postgres.pool import Connection, Link

    Sessions = Callable[..., AsyncSession]


class Opened:
    """A job's session, and the transaction in which SQLAlchemy believes it is."""

    __slots__ = ("_asked", "_root", "session")

    def __init__(self, session: AsyncSession, root: Any) -> None:  # noqa: ANN401 - not imported here
        self.session = session
        self._root = root
        self._asked = False
        # A session that has not yet sent anything has nothing to mark when it is rolled back.
        setattr(session.sync_session, "rollback", self._rollback)  # noqa: B010 - on this one only

    @property
    def rolled_back(self) -> bool:
        """Whether the handler rolled the session back, or ended its transaction otherwise."""
        return self._asked or not self._root.is_active

    def _rollback(self) -> None:
        self._asked = True
        session = self.session.sync_session
        type(session).rollback(session)

    async def flush(self) -> None:
        """Send what the session still holds; raises what the database answers."""
        session = self.session.sync_session
        if session.new or session.dirty or session.deleted:
            await self.session.flush()

    def close(self) -> None:
        """Forget what the session holds; nothing is sent."""
        from sqlalchemy.exc import InvalidRequestError  # noqa: PLC0415 - lazily

        # a task that the handler left behind is in the middle of it: the gate keeps it from more
        with contextlib.suppress(InvalidRequestError):
            self.session.sync_session.close()


class SessionMaker:
    """Makes sessions on connections that are given to it."""

    def __init__(self, sessions: Sessions | None = None) -> None:
        """`sessions`: an application's own sessionmaker, called with `bind=` and its join mode."""
        self._sessions = sessions
        self._engine: AsyncEngine | None = None
        self._attaching = asyncio.Lock()
        self._raw: Connection | None = None

    async def open(self, link: Link, gate: Gate) -> Opened:
        """A session for one job on the link's connection."""
        if link.attached is None:
            link.attached = await self._attach(link.raw)
        from sqlalchemy.engine import Connection as SyncConnection  # noqa: PLC0415 - lazily
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession  # noqa: PLC0415

        from processor.adapters.postgres.attached import LentToJob  # noqa: PLC0415

        engine = self._engine
        assert engine is not None  # noqa: S101 - made by _attach
        connection = SyncConnection(engine.sync_engine, LentToJob(link.attached, gate))
        root = connection.begin()
        make = self._sessions or AsyncSession
        session = make(
            bind=AsyncConnection(engine, connection), join_transaction_mode="rollback_only"
        )
        return Opened(session, root)

    async def _attach(self, raw: Connection) -> Any:  # noqa: ANN401 - not imported here
        async with self._attaching:
            if self._engine is None:  # importing it takes up to seconds, which no job shall wait
                await asyncio.to_thread(_import_sqlalchemy)
            from processor.adapters.postgres.attached import attach, engine_over  # noqa: PLC0415

            self._raw = raw
            if self._engine is None:
                self._engine = engine_over(self._give)
            return await attach(self._engine)

    async def _give(self) -> Connection:
        assert self._raw is not None  # noqa: S101 - set by _attach, which holds the lock
        return self._raw


def _import_sqlalchemy() -> None:
    import_module("processor.adapters.postgres.attached")
    import_module("sqlalchemy.dialects.postgresql.asyncpg")  # else by the first engine
