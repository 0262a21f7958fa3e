"""How is a worker cut off from its group's coordinator, and from nothing else?

A proxy between it and the broker looks at the API key of each request: a connection that carries
the group's own requests is the coordinator's. While it is cut, nothing passes there in either
direction, as on a network that drops packets; healed, what stood comes through, late.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from processor.local.ports import HOST

GROUP_KEYS: Final = frozenset({11, 12, 14})
"""JoinGroup, Heartbeat, SyncGroup."""
_LENGTH: Final = 4
_KEY: Final = 2
_BLOCK: Final = 64 * 1024


class Proxy:
    """Listens on one port and passes on to the broker's."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = 0
        """How many requests of a group were not passed on since it was cut."""

    @contextlib.asynccontextmanager
    async def listening(self, port: int, broker: int) -> AsyncIterator[None]:
        """Serve while the block lasts."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            try:
                # Cancelled when the proxy ends: the server's own callback must not see it.
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await self._connect(reader, writer, broker)
            finally:
                # At once: who is cut off would never take what is still on its way.
                writer.transport.abort()

        server = await asyncio.start_server(serve, HOST, port)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Let nothing pass between members and the coordinator."""
        self.stopped = 0
        self._open.clear()

    def heal(self) -> None:
        """Let it pass again, and what has come since."""
        self._open.set()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broker: int
    ) -> None:
        answers, requests = await asyncio.open_connection(HOST, broker)
        line = _Line(self)
        pumps = [
            asyncio.create_task(line.requests(reader, requests)),
            asyncio.create_task(line.answers(answers, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is waited for, which the proxy's own end may break off.
            requests.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def pass_on(self) -> None:
        """Return once a group's traffic may pass."""
        self.stopped += not self._open.is_set()
        await self._open.wait()


class _Line:
    """One client's connection."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._is_groups = False

    async def requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass request by request: only whole ones say what they are."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = await reader.readexactly(_LENGTH)
                body = await reader.readexactly(int.from_bytes(length))
                self._is_groups |= int.from_bytes(body[:_KEY]) in GROUP_KEYS
                if self._is_groups:
                    await self._proxy.pass_on()
                writer.write(length + body)
                await writer.drain()

    async def answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass whatever comes."""
        with contextlib.suppress(OSError):
            while block := await reader.read(_BLOCK):
                if self._is_groups:
                    await self._proxy.pass_on()
                writer.write(block)
                await writer.drain()
