"""What does one job's handler hold of a connection, and is it whole when the handler is done?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.adapters.postgres.lending import Gate, LentConnection
from processor.domain.errors import TransactionMisused

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from processor.adapters.postgres.pool import Link
    from processor.adapters.postgres.sessions import Opened, SessionMaker


class Loan:
    """A connection and a session, behind one gate."""

    __slots__ = ("_lent", "_link", "_opened", "_sealed", "_sessions", "gate")

    def __init__(self, link: Link, sessions: SessionMaker, *, shared: bool = False) -> None:
        """`shared`: other jobs come after it in the same transaction."""
        self._link = link
        self._sessions = sessions
        self._lent: LentConnection | None = None
        self._opened: Opened | None = None
        self._sealed = False
        self.gate = Gate(shared=shared)

    def connection(self) -> LentConnection:
        """The raw connection; every use after the handler returned raises `TransactionMisused`."""
        self.gate.check()
        if self._lent is None:
            self._lent = LentConnection(self._link.raw, self.gate)
        return self._lent

    async def session(self) -> AsyncSession:
        """The job's one session."""
        self.gate.check()
        if self._opened is None:
            self._opened = await self._sessions.open(self._link, self.gate)
        return self._opened.session

    async def seal(self) -> None:
        """Flush the session and revoke what the handler was given; raises what the flush raises."""
        if self._sealed:
            return
        self._sealed = True
        try:
            if self._opened is not None and not self._opened.rolled_back:
                await self._opened.flush()
        finally:
            self.gate.close()

    def assert_whole(self) -> None:
        """Raise what the handler did to its transaction, though it may have swallowed the error."""
        if self.gate.refused is not None:
            raise TransactionMisused(self.gate.refused)
        if self.gate.running or self.gate.doubtful:
            raise TransactionMisused(
                "the handler returned while a query of its own was still running, or broken off"
            )
        if self._opened is not None and self._opened.rolled_back:
            raise TransactionMisused(
                "the handler rolled its session back: nothing of it is kept, so the job is not"
                " complete; raise an error instead, or use session.begin_nested()"
            )

    def close(self) -> None:
        """Forget what the session holds; nothing is sent."""
        self.gate.close()
        if self._opened is not None:
            self._opened.close()
