"""What is a server that dies while it is being greeted, or that is another one than before?"""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest

from processor.adapters.postgres.lineage import Identity
from processor.adapters.postgres.pool import Pool
from processor.domain.priority import Priority
from processor.ports.ledger import Fault


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


GREETING = (
    message(b"R", struct.pack("!i", 0))
    + message(b"S", b"server_version\x0018.0\x00")
    + message(b"S", b"client_encoding\x00UTF8\x00")
    + message(b"K", struct.pack("!ii", 1, 1))
    + message(b"Z", b"I")
)
LAST_WORDS = message(b"E", b"SFATAL\x00VFATAL\x00C57P01\x00Mgoing away\x00\x00")


async def test_a_server_that_dies_while_it_is_greeted_is_a_fault() -> None:
    gone = asyncio.Event()

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a client in and die before it has noticed: what it asks next has no answer."""
        await reader.read(1024)
        writer.write(b"N")  # no TLS
        await reader.read(1024)
        writer.write(GREETING + LAST_WORDS)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(dying, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        pool = Pool(f"postgresql://jobs@127.0.0.1:{port}/jobs", 1, patience=10)
        with pytest.raises(Fault, match="the database failed"):
            await pool.take(Priority.NORMAL)
        await gone.wait()


async def test_what_was_thought_out_before_a_failover_is_not_said_after_it(database: str) -> None:
    async with Pool(database, 1) as pool:
        link = await pool.take(Priority.NORMAL)
        waits = asyncio.ensure_future(pool.take(Priority.NORMAL))
        await asyncio.sleep(0)
        pool.lineage.observe(Identity(1, 2, 3), 0)
        pool.give_back(link)
        with pytest.raises(Fault, match="another one"):
            await waits
        pool.give_back(await pool.take(Priority.NORMAL))
