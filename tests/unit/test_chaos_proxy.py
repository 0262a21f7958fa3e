"""Does the proxy cut a worker off from its group's coordinator, and from nothing else?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from processor.chaos.proxy import Proxy
from processor.local.ports import HOST, reserved

FETCH, HEARTBEAT, API_VERSIONS = 1, 12, 18


def request(key: int, text: bytes = b"") -> bytes:
    body = key.to_bytes(2) + text
    return len(body).to_bytes(4) + body


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    with reserved(tmp_path) as found:
        yield found.kafka, found.controller


@asynccontextmanager
async def echoing(port: int) -> AsyncIterator[None]:
    """A broker that answers each request with itself."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(1024):
                writer.write(block)
                await writer.drain()
        await closed(writer)

    server = await asyncio.start_server(serve, HOST, port)
    try:
        yield
    finally:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:  # they end, since the proxy has closed its connections
            await asyncio.wait(others)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, what: bytes) -> bytes:
        self._writer.write(what)
        await self._writer.drain()
        return await self._reader.readexactly(len(what))

    async def close(self) -> None:
        await closed(self._writer)


async def test_only_connections_that_carry_a_groups_requests_are_cut_and_nothing_is_lost(
    ports: tuple[int, int],
) -> None:
    proxy, (front, back) = Proxy(), ports
    async with echoing(back), proxy.listening(front, back):
        member = Client(*await asyncio.open_connection(HOST, front))
        fetcher = Client(*await asyncio.open_connection(HOST, front))
        for client, key in ((member, HEARTBEAT), (fetcher, FETCH)):
            for one in (API_VERSIONS, key):
                assert await client.ask(request(one, b"first")) == request(one, b"first")
        proxy.cut()
        late = asyncio.create_task(member.ask(request(HEARTBEAT, b"late")))
        for _ in range(3):
            assert await fetcher.ask(request(FETCH, b"more")) == request(FETCH, b"more")
        joining = Client(*await asyncio.open_connection(HOST, front))
        assert await joining.ask(request(API_VERSIONS)) == request(API_VERSIONS)
        held = asyncio.create_task(joining.ask(request(HEARTBEAT)))
        assert await fetcher.ask(request(FETCH)) == request(FETCH)
        while proxy.stopped < 2:  # noqa: ASYNC110 - the proxy sets no event
            await asyncio.sleep(0)
        assert not late.done()
        assert not held.done()
        proxy.heal()
        assert await late == request(HEARTBEAT, b"late")
        assert await held == request(HEARTBEAT)
        for client in (member, fetcher, joining):
            await client.close()
