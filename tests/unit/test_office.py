"""An office whose connection breaks is lost, whichever of asyncpg's errors says so."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from processor.adapters.postgres.office import PostgresOffice
from processor.ports.ledger import Fault


class BreakingPool:
    """Hands out itself as the one connection, which answers until it is told to break."""

    patience = 1.0

    def __init__(self) -> None:
        self.raw = self
        self.breaks: Exception | None = None
        self.doubtful: list[bool] = []

    async def take(self, _lane: object) -> BreakingPool:
        return self

    def give_back(self, _link: object, *, doubtful: bool) -> None:
        self.doubtful.append(doubtful)

    async def fetchval(self, *_arguments: object, **_named: object) -> bool:
        if self.breaks is not None:
            raise self.breaks
        return True


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 11"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_office_is_lost_with_its_connection_however_the_driver_says_so(
    error: Exception,
) -> None:
    pool: Any = BreakingPool()
    office = PostgresOffice(pool, "janitor")
    assert await office.held()
    pool.breaks = error
    with pytest.raises(Fault):
        await office.held()
    assert pool.doubtful == [True]
