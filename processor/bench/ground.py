"""Where are the benchmarks run: on which broker and database, under which names?"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import asyncpg

from processor.adapters.kafka.topics import delete
from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.bench.processes import Machine
from processor.bench.work import EFFECTS
from processor.bootstrap.migrating import migrate
from processor.domain.errors import Unavailable
from processor.local import account
from processor.local.stack import running
from processor.settings import Settings
from processor.staging.children import Children
from processor.staging.place import variables

if TYPE_CHECKING:
    from processor.bench.showing import Show
    from processor.local.jars import Progress

HEAP: Final = "1g"
BUFFERS: Final = "1GB"
SESSION_SECONDS: Final = 6.0
CHILD: Final = "processor.bench.observed"


@contextlib.contextmanager
def stack(
    environment: Mapping[str, str], say: Callable[[str], None], progress: Progress | None
) -> Iterator[Settings]:
    """The stack that `JOBS_*` names, else one of our own in a folder that is deleted afterwards.

    Raises `ConfigurationError`, `StackError`.
    """
    settings = Settings.from_env(environment)
    settings = replace(settings, session_timeout=SESSION_SECONDS, release="bench")
    if settings.kafka or settings.database:
        settings.need_kafka()
        settings.need_database()
        yield settings
        return
    folder = Path(tempfile.mkdtemp(prefix="processor-bench-"))
    folder.chmod(0o711)  # as root the database runs as another user
    try:
        with running(folder, say=say, progress=progress, heap=HEAP, buffers=BUFFERS) as started:
            here = started.stack
            yield replace(settings, kafka=here.kafka, database=here.database, replication=1)
    finally:
        account.forget(folder)


@dataclass(frozen=True, slots=True)
class Place:
    """What a round has to itself."""

    settings: Settings
    connection: asyncpg.Connection[Any]
    """To the round's database, for looking."""
    children: Children
    machine: Machine


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rounds stand on."""

    settings: Settings
    folder: Path
    """For what the processes write."""
    show: Show

    @contextlib.asynccontextmanager
    async def place(self, runs: str = CHILD) -> AsyncIterator[Place]:
        """A new namespace and database, gone afterwards, and processes that end before.

        `runs` is the module that the processes run.
        Raises `ConfigurationError`, `Unavailable`, `ProcessorError` where a process ends unasked.
        """
        name = f"bench-{secrets.token_hex(4)}"
        url = urlsplit(self.settings.need_database())._replace(path=f"/{name}").geturl()
        settings = replace(self.settings, namespace=name, database=url)
        with _told():
            server = await asyncpg.connect(self.settings.need_database())
            try:
                await server.execute(f'CREATE DATABASE "{name}"')
                try:
                    await migrate(settings)
                    async with self._inside(settings, runs) as place:
                        yield place
                finally:
                    await delete(settings.need_kafka(), settings.topics)
                    await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            finally:
                await server.close()

    @contextlib.asynccontextmanager
    async def _inside(self, settings: Settings, runs: str) -> AsyncIterator[Place]:
        connection = await asyncpg.connect(settings.need_database())
        try:
            await connection.execute(EFFECTS)
            machine = await Machine.of(settings, connection)
            async with Children(self.folder, variables(settings), runs=runs) as children:
                yield Place(settings, connection, children, machine)
        finally:
            await connection.close()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise Unavailable(f"the benchmark lost its database: {error}") from error
