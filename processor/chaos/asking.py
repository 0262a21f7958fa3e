"""How is the database asked while it is killed, restarted and cut off in between?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS

LOOK_SECONDS: Final = 0.05
CONNECT_SECONDS: Final = 5.0
QUERY_SECONDS: Final = 30.0


class Asking:
    """One connection, made anew where it broke."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._connection: asyncpg.Connection[Any] | None = None
        self._turn = asyncio.Lock()

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask until there is an answer."""
        while True:
            async with self._turn:
                try:
                    connection = await self._connected()
                    return await connection.fetch(query, *values, timeout=QUERY_SECONDS)
                except (asyncpg.SyntaxOrAccessError, asyncpg.DataError):
                    raise  # our own mistake
                except DRIVER_ERRORS:
                    self._cut()
            await asyncio.sleep(LOOK_SECONDS)

    async def value(self, query: str, *values: object) -> Any:  # noqa: ANN401 - the column's own
        """The first column of the first row; None where there is none."""
        rows = await self.fetch(query, *values)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection of one's own, for what takes long; raises what the driver raises."""
        connection = await asyncpg.connect(self.database, timeout=CONNECT_SECONDS)
        try:
            yield connection
        finally:
            connection.terminate()

    def close(self) -> None:
        """Ask no more."""
        self._cut()

    async def _connected(self) -> asyncpg.Connection[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.database, timeout=CONNECT_SECONDS)
        return self._connection

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None


async def until(
    reached: Callable[[], Awaitable[bool]], seconds: float, look: float = LOOK_SECONDS
) -> bool:
    """Look until it is so; False where it is not after so long."""
    try:
        async with asyncio.timeout(seconds):
            while not await reached():  # noqa: ASYNC110 - other processes do it
                await asyncio.sleep(look)
    except TimeoutError:
        return False
    return True
