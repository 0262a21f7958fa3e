"""How does a database of one's own fail over to a standby, or go back to an earlier time?

A server that nobody else uses, since rows may be lost. Whatever becomes of
it, it is found again on the same port, as a service's address is.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from processor.local import account, postgres
from processor.local.ports import HOST, reserved
from processor.local.server import Program, Server, run

BUFFERS = "64MB"
LOOK_SECONDS = 0.05
READS_ONLY = b"ready to accept read-only connections"


@dataclass
class Database:
    """One server, and where it keeps its data."""

    folder: Path
    programs: Path
    port: int
    server: Server

    @property
    def url(self) -> str:
        """The database's URL."""
        return postgres.address(self.port)

    async def restart(self) -> None:
        """As an operator would, who changes a setting."""
        await self.server.stop()
        await self.server.start()

    async def crash(self) -> None:
        """As a power loss would, and back again."""
        await self.server.kill()
        await self.server.start()

    @contextlib.asynccontextmanager
    async def standby(self) -> AsyncIterator[Standby]:
        """A physical standby that streams."""
        place = place_in(self.folder, f"standby-{secrets.token_hex(4)}")
        copy = [str(self.programs / "pg_basebackup"), "-D", str(place / "data"), "-R"]
        copy += ["-c", "fast", "-h", HOST, "-p", str(self.port), "-U", postgres.USER]
        await self._run(copy)
        with reserved(place) as ports:
            follows = self._program(place, ports.postgres)
            server = Server(replace(follows, ready=READS_ONLY))
            await server.start()
            try:
                yield Standby(self, server, place, ports.postgres)
            finally:
                await server.stop()

    async def copied(self) -> Path:
        """A copy of the data folder, as a volume's snapshot is."""
        place = place_in(self.folder, f"copy-{secrets.token_hex(4)}")
        await self.server.stop()
        await self._run(["cp", "-a", str(self.server.program.folder / "data"), str(place)])
        await self.server.start()
        return place

    async def serve_from(self, place: Path) -> None:
        """End this server as a power loss would, and serve other data in its place."""
        await self.server.kill()
        self.server = Server(self._program(place, self.port))
        await self.server.start()

    def _program(self, place: Path, port: int) -> Program:
        who = account.unprivileged()
        return postgres.server(self.folder, self.programs, place, who, port, BUFFERS)

    async def _run(self, command: list[str]) -> None:
        program = self.server.program
        log = program.log.with_name(f"{Path(command[0]).name}.log")
        await run(replace(program, command=command, log=log))


@dataclass
class Standby:
    """Takes over once it is promoted; knows what it had received by then."""

    primary: Database
    server: Server
    place: Path
    port: int

    async def cut_off(self) -> None:
        """Receive no more of what the primary commits."""
        connection = await asyncpg.connect(postgres.address(self.port))
        await connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        await connection.execute("SELECT pg_reload_conf()")
        while await connection.fetchval("SELECT count(*) FROM pg_stat_wal_receiver"):  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(LOOK_SECONDS)
        await connection.close()

    async def take_over(self) -> None:
        """The primary is lost; this one is promoted and answers at its address."""
        await self.primary.server.kill()
        connection = await asyncpg.connect(postgres.address(self.port))
        await connection.fetchval("SELECT pg_promote()")
        await connection.close()
        await self.server.stop()
        await self.primary.serve_from(self.place)


@contextlib.asynccontextmanager
async def a_database() -> AsyncIterator[Database]:
    """An empty server, deleted afterwards."""
    folder = _folder()
    who = account.unprivileged()
    place, programs = place_in(folder, "first"), postgres.binaries(who)
    with reserved(place) as ports:
        program = postgres.server(folder, programs, place, who, ports.postgres, BUFFERS)
        database = Database(folder, programs, ports.postgres, Server(program))
        try:
            await postgres.prepare(program, programs, place)
            await database.server.start()
            yield database
        finally:
            await database.server.kill()
            account.forget(folder)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="job-processor-"))
    folder.chmod(0o711)
    (folder / "logs").mkdir()
    return folder


def place_in(folder: Path, name: str) -> Path:
    """A folder in a folder, where the database's account may write."""
    place = folder / name
    place.mkdir(exist_ok=True)
    who = account.unprivileged()
    if who is not None:
        who.give(place)
    return place
