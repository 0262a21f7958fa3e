"""Which broker and database does a run have in its own hands, to kill and to start again?

The broker has a second listener, whose address is a proxy's: a client that knocks there goes
through the proxy with all its connections, and nobody else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from processor.chaos.database import Database, place_in
from processor.chaos.proxy import Proxy
from processor.local import account, jars, packages, postgres
from processor.local.folders import cache_folder
from processor.local.ports import HOST, Ports, reserved
from processor.local.supervisor import Plan, serving

if TYPE_CHECKING:
    from processor.local.server import Server

HEAP: Final = "384m"
BUFFERS: Final = "128MB"


@dataclass(frozen=True, slots=True)
class Servers:
    """Both of them, and the proxy."""

    broker: Server
    database: Database
    proxy: Proxy
    kafka: str
    """The broker's address."""
    through_proxy: str
    """The same broker's, through the proxy."""


@contextlib.asynccontextmanager
async def servers(progress: jars.Progress | None = None) -> AsyncIterator[Servers]:
    """A broker and a database in a temporary folder, gone with the block.

    Raises `ConfigurationError` where the extra `local` is not installed, `StackError`.
    """
    packages.require()
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    archive = await asyncio.to_thread(jars.ensure, cache, progress)
    folder = _folder()
    try:
        side = place_in(folder, "side")
        with reserved(folder) as ports, reserved(side) as others:
            async with _running(folder, archive, ports, others) as running:
                yield running
    finally:
        account.forget(folder)


@contextlib.asynccontextmanager
async def _running(
    folder: Path, archive: Path, ports: Ports, side: Ports
) -> AsyncIterator[Servers]:
    plan = Plan(os.getpid(), str(folder), str(archive), HEAP, BUFFERS)
    proxy = Proxy()
    async with (
        proxy.listening(side.controller, side.kafka),
        serving(plan, ports, _second_listener(ports, side)) as both,
    ):
        programs = postgres.binaries(account.unprivileged())
        database = Database(folder, programs, ports.postgres, both.postgres)
        try:
            yield Servers(
                both.kafka, database, proxy, both.addresses[0], f"{HOST}:{side.controller}"
            )
        finally:
            await database.server.stop()


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="job-processor-"))
    # Only its owner may enter it, and as root the database runs as another user.
    folder.chmod(0o711)
    (folder / "logs").mkdir()
    return folder


def _second_listener(ports: Ports, side: Ports) -> Mapping[str, str]:
    listeners = f"PLAINTEXT://{HOST}:{ports.kafka},SIDE://{HOST}:%d"
    return {
        "listeners": f"{listeners % side.kafka},CONTROLLER://{HOST}:{ports.controller}",
        "advertised.listeners": listeners % side.controller,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SIDE:PLAINTEXT",
    }
