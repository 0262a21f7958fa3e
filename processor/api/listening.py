"""How does the application listen, and how does it stop?"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncio import Event
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

GRACE_SECONDS: Final = 5
"""That requests have to end when it stops."""
KEEP_ALIVE_SECONDS: Final = 30
CONNECTIONS: Final = 1_000
"""At once: beyond them it answers 503."""
BACKLOG: Final = 512


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it, and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free. Raises `ConfigurationError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no such address"
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {why}") from None
    return made


@asynccontextmanager
async def listening(app: FastAPI, made: socket.socket, closing: Event) -> AsyncIterator[None]:
    """The application answers while the block lasts; then those who wait are answered, and it ends.

    `closing` is set first, so that streams end by themselves.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(config)
    running = asyncio.create_task(server.serve([made]))
    try:
        answers = asyncio.create_task(server.answers.wait())
        await asyncio.wait({answers, running}, return_when=asyncio.FIRST_COMPLETED)
        answers.cancel()
        if running.done():
            running.result()
        yield
    finally:
        closing.set()
        server.should_exit = True
        await running
