"""On which database do the write side's ports run? Each suite on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from processor.adapters.memory.database import MemoryDatabase
from tests.contract.worlds import (
    PARTITIONS,
    MemoryWorld,
    PostgresWorld,
    World,
    in_postgres,
)


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One worker's adapters, over a database of the test's own."""
    if request.param == "memory":
        yield MemoryWorld(MemoryDatabase.pinned(PARTITIONS))
        return
    url = await asyncio.to_thread(request.getfixturevalue, "database")
    async with in_postgres(url) as real:
        yield real


@pytest.fixture
async def real(database: str) -> AsyncIterator[PostgresWorld]:
    """The same, where only PostgreSQL can show it."""
    async with in_postgres(database) as opened:
        yield opened
