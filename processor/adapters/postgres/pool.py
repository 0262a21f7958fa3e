"""How do we hold connections to PostgreSQL?

Raw asyncpg connections, opened when needed and at most `size` at once, handed out in the order of
the lanes. What is given back in doubt is terminated, never mended: a broken or half-used connection
costs a new one, a wrong one costs an effect.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS, fault_of
from processor.adapters.postgres.lineage import IDENTIFY, Identity, Lineage
from processor.adapters.postgres.turns import Turns
from processor.domain.errors import ConfigurationError, Unavailable
from processor.domain.priority import Priority
from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    Connection = asyncpg.Connection[asyncpg.Record]

SERVICE: Final = {
    # single statements that take a lock and then look: each needs a snapshot younger than its lock
    "default_transaction_isolation": "read committed",
    # a plan cached while the ledger was small must not read the large one from end to end
    "enable_seqscan": "off",
    "jit": "off",
    "lock_timeout": "5s",
}
"""Settings for connections that carry our own statements only."""
LOOKING: Final = {**SERVICE, "plan_cache_mode": "force_generic_plan"}
"""For look-ups by key alone: PostgreSQL would plan each anew, which takes four times as long."""

_CLOSING_SECONDS: Final = 2.0


def liveness(idle: float) -> dict[str, str]:
    """Settings by which the server ends what a dead or frozen client left; `idle` in seconds."""
    return {
        "idle_in_transaction_session_timeout": str(int(idle * 1000)),
        "client_connection_check_interval": "2000",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }


class Link:
    """One connection, and what is kept with it."""

    __slots__ = ("attached", "lane", "raw")

    def __init__(self, raw: Connection) -> None:
        self.raw = raw
        self.lane = Priority.CRITICAL
        self.attached: Any = None
        """SQLAlchemy's side of it, once a handler asked for a session."""

    async def close(self) -> None:
        """Close it in peace."""
        if self.attached is None:
            await self.raw.close()
        else:
            await self.attached.close()

    def terminate(self) -> None:
        """Close it at once, without a word to the server."""
        if self.attached is not None:
            self.attached.terminate()
            self.attached = None
        self.raw.terminate()


class Pool:
    """At most `size` connections to one database."""

    def __init__(
        self,
        url: str,
        size: int,
        *,
        name: str = "job-processor",
        settings: Mapping[str, str] | None = None,
        prepare: str = "",
        patience: float = 10.0,
        idle: float = 20.0,
        lineage: Lineage | None = None,
    ) -> None:
        """`patience`: seconds until a connection or one of our own statements counts as lost.

        `idle`: seconds a transaction may stand idle before the server ends it; keep it below the
        session time-out. `prepare`: SQL run once on each new connection. Pools of one process
        share one `lineage`.
        """
        self.patience = patience
        self.idle = idle
        self.lineage = lineage or Lineage()
        self._url = url
        self._settings = {"application_name": name, **liveness(idle), **(settings or {})}
        self._prepare = prepare
        self._turns = Turns(size)
        self._free: list[Link] = []
        self._held: set[Link] = set()
        self._closed = False
        self.lineage.on_change(self.drop)

    async def __aenter__(self) -> Self:
        """Open a first connection, so that what is wrong shows before anything starts.

        Raises `ConfigurationError` or `Unavailable`, each with one clear line.
        """
        try:
            link = await self.take(Priority.CRITICAL)
        except Fault as fault:
            where = _place(self._url)
            raise Unavailable(f"PostgreSQL does not answer at {where}: {fault}") from fault
        self.give_back(link)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection; those still held are terminated."""
        self._closed = True
        for link in list(self._held):
            link.terminate()
        while self._free:
            link = self._free.pop()
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await link.close()
            except DRIVER_ERRORS:
                link.terminate()

    async def take(self, lane: Priority) -> Link:
        """A connection, to be given back; waits for the lane's turn. Raises `Fault`.

        Also where the database turned out to be another one meanwhile: what is to be said on the
        connection was thought out before that was known (H1).
        """
        era = self.lineage.era
        await self._turns.enter(lane)
        try:
            link = self._idle() or await self._connect()
            if self.lineage.era != era:
                link.terminate()
                raise Fault("the database is another one than before")
        except BaseException:
            self._turns.leave(lane)
            raise
        link.lane = lane
        self._held.add(link)
        return link

    def give_back(self, link: Link, *, doubtful: bool = False) -> None:
        """Take a connection back; one that is doubtful or inside a transaction is terminated."""
        self._held.discard(link)
        raw = link.raw
        unsound = doubtful or raw.is_closed() or raw.is_in_transaction()
        if unsound or self._closed:
            link.terminate()
        else:
            self._free.append(link)
        self._turns.leave(link.lane)

    @asynccontextmanager
    async def connection(self, lane: Priority = Priority.NORMAL) -> AsyncIterator[Connection]:
        """A connection for our own statements; errors of the infrastructure become `Fault`.

        Interrupted by an error that is not the database's answer, it is terminated.
        """
        link = await self.take(lane)
        doubtful = True
        try:
            async with asyncio.timeout(self.patience):
                yield link.raw
            doubtful = False
        except asyncpg.PostgresError as error:
            fault = fault_of(error)
            doubtful = fault is not None
            if fault is not None:
                raise fault from error
            raise
        except (asyncpg.InternalClientError, OSError, TimeoutError) as error:
            raise fault_of(error) or Fault(f"the database failed: {error}") from error
        except asyncpg.InterfaceError as error:
            if link.raw.is_closed():
                raise Fault(f"the connection was lost: {error}") from error
            raise  # a mistake of our own
        finally:
            self.give_back(link, doubtful=doubtful)

    async def timeline(self) -> int:
        """The database's timeline, as the newest connection found it. Raises `Fault`."""
        if not self.lineage.timeline:
            self.give_back(await self.take(Priority.CRITICAL))
        return self.lineage.timeline

    def drop(self) -> None:
        """Terminate every connection: the database is another than it was."""
        while self._free:
            self._free.pop().terminate()
        for link in list(self._held):
            link.terminate()

    def _idle(self) -> Link | None:
        while self._free:
            link = self._free.pop()
            if not link.raw.is_closed():
                return link
            link.terminate()
        return None

    async def _connect(self) -> Link:
        try:
            async with asyncio.timeout(self.patience):
                raw = await asyncpg.connect(self._url, server_settings=self._settings)
                try:
                    await self._greet(raw)
                except BaseException:
                    raw.terminate()
                    raise
        except (*DRIVER_ERRORS, ValueError) as error:
            raise self._refusal(error) from error
        return Link(raw)

    async def _greet(self, raw: Connection) -> None:
        at_least = self.lineage.written
        found = await raw.fetchrow(IDENTIFY)
        assert found is not None  # noqa: S101 - a query without FROM rows cannot be empty
        identity = Identity(found["system_identifier"], found["timeline"], found["written"])
        self.lineage.observe(identity, at_least)
        if self._prepare:
            await raw.execute(self._prepare)

    def _refusal(self, error: Exception) -> Exception:
        where = _place(self._url)
        if isinstance(error, asyncpg.InvalidSchemaNameError | asyncpg.UndefinedFunctionError):
            return ConfigurationError(
                f"the database at {where} has no tables: run `processor migrate`"
            )
        fault = fault_of(error)
        if fault is not None:
            return fault
        return ConfigurationError(f"PostgreSQL at {where} refuses: {str(error).splitlines()[0]}")


def _place(url: str) -> str:
    """The URL without its password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        return "the given address"
    return f"{parts.hostname}:{port}{parts.path}"
