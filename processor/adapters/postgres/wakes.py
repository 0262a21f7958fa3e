"""How does a worker hear that a job of its partitions was ended by somebody else?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg
import structlog

from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.adapters.postgres.pool import liveness
from processor.domain.ids import JobId
from processor.ports.cancelling import Wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.adapters.postgres.pool import Connection

CHANNEL: Final = "jobs_wake"
PAUSE: Final = 0.5
"""Seconds until a lost connection is opened again."""

log = structlog.get_logger(__name__)


class PostgresWakes:
    """`Wakes` by LISTEN, on a connection of its own."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "job-processor-wakes",
        beat: float = 5.0,
        patience: float = 10.0,
    ) -> None:
        """Every `beat` seconds it asks whether the server is there, and waits `patience` for it."""
        self._url = url
        self._settings = {"application_name": name, **liveness(patience)}
        self._beat = beat
        self._patience = patience

    async def listen(self, heard: Callable[[Wake], None], began: Callable[[], None]) -> None:
        """Call `heard` for each wake-up until cancelled; listens again by itself when cut off."""
        while True:
            try:
                await self._listen(heard, began)
            except DRIVER_ERRORS as error:
                log.warning("wake-ups are not heard", because=str(error) or type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _listen(self, heard: Callable[[Wake], None], began: Callable[[], None]) -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()

        def told(_connection: object, _server: int, _channel: str, payload: object) -> None:
            wake = _wake(str(payload))
            if wake is not None:
                heard(wake)

        async with asyncio.timeout(self._patience):
            connection = await asyncpg.connect(self._url, server_settings=self._settings)
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            async with asyncio.timeout(self._patience):
                await connection.add_listener(CHANNEL, told)
            began()
            while not lost.is_set():
                await self._stay(connection, lost)
        finally:
            connection.terminate()

    async def _stay(self, connection: Connection, lost: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._beat):
                await lost.wait()
        except TimeoutError:
            async with asyncio.timeout(self._patience):
                await connection.execute("SELECT 1")


def _wake(payload: str) -> Wake | None:
    """What a payload says; None where it is none of ours."""
    partition, _, job = payload.partition(" ")
    try:
        return Wake(int(partition), JobId(UUID(job)))
    except ValueError:
        return None
