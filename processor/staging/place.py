"""Where does a run take place: on which broker, in which database, under which name?

Runs of one kind, `demo` or `chaos`, clear away what earlier ones of it have left.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from processor.adapters.kafka.topics import delete
from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.domain.errors import ConfigurationError
from processor.domain.topics import Topics
from processor.local.stack import find, running
from processor.settings import Settings

if TYPE_CHECKING:
    from processor.local.jars import Progress

SESSION_SECONDS: Final = 6.0
"""After so much silence a worker is taken for lost; 45 s, the default, is for a real network."""

# Runs make and drop databases one after the other: the number of their advisory lock.
_MAKING: Final = 0x64656D6F


@contextlib.contextmanager
def stack(
    environment: Mapping[str, str],
    kind: str,
    say: Callable[[str], None],
    progress: Progress | None,
) -> Iterator[Settings]:
    """The stack that `JOBS_*` names, else the one `processor local` runs, else one of our own.

    One of our own ends with the block. Raises `ConfigurationError`.
    """
    settings = Settings.from_env(environment)
    if not environment.get("JOBS_SESSION_TIMEOUT"):
        settings = replace(settings, session_timeout=SESSION_SECONDS)
    if not environment.get("JOBS_RELEASE"):
        settings = replace(settings, release=kind)
    if settings.kafka or settings.database:
        settings.need_kafka()
        settings.need_database()
        yield settings
        return
    with _embedded(settings, say, progress) as (kafka, database):
        yield replace(settings, kafka=kafka, database=database, replication=1)


@contextlib.contextmanager
def _embedded(
    settings: Settings, say: Callable[[str], None], progress: Progress | None
) -> Iterator[tuple[str, str]]:
    folder = None if settings.local is None else Path(settings.local)
    if found := find(folder):
        say(f"using the stack in {found.folder}: Kafka {found.kafka} · PostgreSQL {found.database}")
        yield found.kafka, found.database
        return
    with running(folder, say=say, progress=progress) as started:
        yield started.stack.kafka, started.stack.database


@dataclass(frozen=True, slots=True)
class Place:
    """What a run has to itself: a database and a namespace."""

    settings: Settings
    connection: asyncpg.Connection[Any]
    """To the run's database; while it is open, no other run drops it."""
    gone: tuple[str, ...]
    """Namespaces of earlier runs whose database and topics are no more."""


@contextlib.asynccontextmanager
async def made(settings: Settings, kind: str) -> AsyncIterator[Place]:
    """A new namespace and database, dropping the databases and topics of earlier runs.

    The last run is kept so that its jobs can be asked for. Raises `ConfigurationError`.
    """
    name = f"{kind}-{secrets.token_hex(4)}"
    database = _beside(settings.need_database(), name)
    with _told(kind):
        server = await asyncpg.connect(settings.need_database())
        try:
            # Held until we are connected, so that no other run takes ours for an abandoned one.
            await server.execute("SELECT pg_advisory_lock($1)", _MAKING)
            gone = await _drop_earlier(server, kind)
            await server.execute(f'CREATE DATABASE "{name}"')
            connection = await asyncpg.connect(database)
        finally:
            await server.close()
    try:
        for namespace in gone:
            await delete(settings.need_kafka(), Topics(namespace))
        yield Place(replace(settings, database=database, namespace=name), connection, gone)
    finally:
        await connection.close()


@contextlib.contextmanager
def _told(kind: str) -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise ConfigurationError(
            f"the {kind} cannot make a database of its own where JOBS_DATABASE says: {error}"
        ) from error


async def _drop_earlier(server: asyncpg.Connection[Any], kind: str) -> tuple[str, ...]:
    gone = []
    ours = f"^{kind}-[0-9a-f]{{8}}$"
    for (name,) in await server.fetch("SELECT datname FROM pg_database WHERE datname ~ $1", ours):
        # In use: another run goes on. Not ours to drop: another user's.
        with contextlib.suppress(asyncpg.ObjectInUseError, asyncpg.InsufficientPrivilegeError):
            await server.execute(f'DROP DATABASE "{name}"')
            gone.append(name)
    return tuple(gone)


def _beside(database: str, name: str) -> str:
    return urlunsplit(urlsplit(database)._replace(path=f"/{name}"))


def variables(settings: Settings) -> dict[str, str]:
    """The environment variables that make these settings."""
    values = {one.metadata["variable"]: getattr(settings, one.name) for one in fields(settings)}
    return {variable: str(value) for variable, value in values.items() if value is not None}
