"""What would a handler do to the database, if it were run and nothing of it kept?"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.adapters.postgres.loan import Loan
from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.sessions import SessionMaker
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from processor.adapters.postgres.pool import Link
    from processor.adapters.postgres.sessions import Sessions

_TOUCHED: Final = """
SELECT format('%I.%I', schemaname, relname) AS table, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1
"""


class Touched(NamedTuple):
    """What was written of a table."""

    table: str
    inserted: int
    updated: int
    deleted: int


class Stage:
    """A transaction that is rolled back, and what a handler is given of it."""

    def __init__(self, link: Link, sessions: Sessions | None) -> None:
        self._link = link
        self._loan = Loan(link, SessionMaker(sessions))

    def connection(self) -> Any:  # noqa: ANN401 - an asyncpg connection, behind the gate
        """What `request.connection()` gives."""
        return self._loan.connection()

    async def session(self) -> AsyncSession:
        """What `request.session()` gives."""
        return await self._loan.session()

    async def end(self) -> None:
        """Send what the session still holds; raises what an attempt would fail of at its end."""
        await self._loan.seal()
        self._loan.assert_whole()

    async def touched(self) -> tuple[Touched, ...]:
        """The rows written so far; none are known after an error of SQL's."""
        try:
            rows = await self._link.raw.fetch(_TOUCHED)
        except asyncpg.InFailedSQLTransactionError:
            return ()
        return tuple(Touched(*row) for row in rows)


@asynccontextmanager
async def on_stage(url: str, sessions: Sessions | None = None) -> AsyncIterator[Stage]:
    """A transaction on a connection of its own; nothing of it is kept, whatever happens."""
    async with Pool(url, 1, name="job-rehearsal", patience=60.0) as pool:
        link = await pool.take(Priority.NORMAL)
        try:
            await link.raw.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            yield Stage(link, sessions)
        finally:
            with suppress(*DRIVER_ERRORS):
                await link.raw.execute("ROLLBACK")
            pool.give_back(link, doubtful=True)
