"""How does a test speak to the ledger's database in memory and to the real one alike?"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import astuple, dataclass
from typing import Any, Protocol
from uuid import UUID

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.ownership import MemoryOwnership
from processor.adapters.memory.replaying import replay_in_place
from processor.adapters.memory.rows import Wait
from processor.adapters.memory.shared_transactions import MemorySharedTransactions
from processor.adapters.memory.suspects import MemorySuspects
from processor.adapters.memory.transactions import MemoryTransactions
from processor.adapters.memory.workers import MemoryWorkers
from processor.adapters.postgres.cluster import Cluster
from processor.adapters.postgres.ledger import PostgresLedger
from processor.adapters.postgres.ownership import PostgresOwnership
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.sessions import SessionMaker
from processor.adapters.postgres.shared_transactions import (
    PREPARE_SHARED,
    PostgresSharedTransactions,
)
from processor.adapters.postgres.suspects import PostgresSuspects
from processor.adapters.postgres.transactions import PREPARE, PostgresTransactions
from processor.adapters.postgres.workers import PostgresWorkers
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.ports.ledger import Answer, Entry, Ledger, WaitingRow
from processor.ports.ownership import Fence, Owner, Ownership, Workers
from processor.ports.shared_transactions import SharedTransaction, SharedTransactions
from processor.ports.suspects import Suspects
from processor.ports.transactions import Claim, Share, Transaction, Transactions

PARTITIONS = 4
_chance = random.Random(20)


def an_id() -> UUID:
    return UUID(int=_chance.getrandbits(128), version=4)


def a_job() -> JobId:
    return JobId(an_id())


def an_entry(
    job: JobId,
    body: bytes = b"complete",
    *,
    generation: int = 1,
    partition: int = 0,
    lane: Priority = Priority.NORMAL,
    offset: int = 100,
) -> Entry:
    return Entry(job, generation, partition, lane, offset, body)


def a_claim(
    job: JobId,
    key: int = 7,
    *,
    generation: int = 1,
    partition: int = 0,
    lane: Priority = Priority.NORMAL,
    offset: int = 100,
    revision: int = 0,
) -> Claim:
    return Claim(job, generation, partition, lane, offset, key, revision)


class World(Protocol):
    """One worker's adapters over a database, and what a test does to that behind its back."""

    @property
    def ownership(self) -> Ownership: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def suspects(self) -> Suspects: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def transactions(self) -> Transactions: ...
    @property
    def shared(self) -> SharedTransactions: ...

    async def record(
        self,
        fence: Fence,
        key: int,
        entry: Entry,
        revision: int = 0,
        *,
        died: bool = False,
        wait: Wait | None = None,
    ) -> Answer: ...

    async def replay_in_place(self, fence: Fence, key: int, entry: Entry) -> Answer: ...

    async def cancel(self, entry: Entry) -> Answer: ...

    async def write(self, transaction: Share, key: str, value: int) -> None:
        """Write as a handler does."""
        ...

    async def read(self, key: str) -> int | None:
        """What others see of it."""
        ...


async def own(world: World, partition: int = 0, worker: UUID | None = None) -> Fence:
    """Take a partition over as it stands."""
    owners = await world.ownership.owners([partition])
    token = an_id()
    taken = await world.ownership.take(owners[partition], token, worker or an_id(), unclean=False)
    assert taken is not None
    return Fence(partition, token)


async def owner(world: World, partition: int = 0) -> Owner:
    return (await world.ownership.owners([partition]))[partition]


async def begun(world: World, claim: Claim) -> Transaction:
    transaction = await world.transactions.begin(claim)
    assert not isinstance(transaction, Answer), transaction
    return transaction


async def a_group(world: World, *claims: Claim, savepoints: bool = True) -> SharedTransaction:
    """A group of jobs that may all run."""
    group = await world.shared.begin(claims, savepoints=savepoints)
    assert set(group.answers) == {Answer.DONE}, group.answers
    return group


async def waiting_row(world: World, job: JobId) -> WaitingRow:
    known = await world.ledger.look_up([0], [job], [])
    (row,) = known.waiting
    return row


@dataclass
class MemoryWorld:
    database: MemoryDatabase

    def __post_init__(self) -> None:
        self.ownership = MemoryOwnership(self.database)
        self.workers = MemoryWorkers(self.database)
        self.suspects = MemorySuspects(self.database)
        self.ledger = MemoryLedger(self.database)
        self.transactions = MemoryTransactions(self.database)
        self.shared = MemorySharedTransactions(self.database)

    async def record(
        self,
        fence: Fence,
        key: int,
        entry: Entry,
        revision: int = 0,
        *,
        died: bool = False,
        wait: Wait | None = None,
    ) -> Answer:
        return self.database.record(fence, key, entry, revision, died=died, wait=wait)

    async def replay_in_place(self, fence: Fence, key: int, entry: Entry) -> Answer:
        return replay_in_place(self.database, fence, key, entry)

    async def cancel(self, entry: Entry) -> Answer:
        return self.database.cancel(entry)

    async def write(self, transaction: Share, key: str, value: int) -> None:
        await transaction.connection().put(key, value)

    async def read(self, key: str) -> int | None:
        value = self.database.values.get(key)
        assert value is None or isinstance(value, int)
        return value


RECORD = """
SELECT jobs.record_v1(
    _token => $1, _partition => $2, _entity_key => $3, _job => $4, _generation => $5,
    _revision => $6, _lane => $7, _place => $8, _died => $9, _state => $10, _holds => $11,
    _serve => $7, _submission => $12, _body => $13, _attempt => $14, _runs => $15, _faults => $16
)
"""
REPLAY = "SELECT jobs.replay_in_place_v1($1, $2, $3, $4, $5, $6, $7)"
CANCEL = "SELECT jobs.cancel_v1($1, $2, $3, $4, $5, $6)"


@dataclass
class PostgresWorld:
    url: str
    service: Pool
    handlers: Pool
    sessions: Any = None

    def __post_init__(self) -> None:
        self.ownership = PostgresOwnership(self.service)
        self.workers = PostgresWorkers(self.service)
        self.suspects = PostgresSuspects(self.service)
        self.ledger = PostgresLedger(self.service)
        maker = SessionMaker(self.sessions)
        self.transactions = PostgresTransactions(self.handlers, maker)
        self.shared = PostgresSharedTransactions(self.handlers, maker)

    async def record(
        self,
        fence: Fence,
        key: int,
        entry: Entry,
        revision: int = 0,
        *,
        died: bool = False,
        wait: Wait | None = None,
    ) -> Answer:
        row = astuple(wait) if wait else (None,) * 7
        async with self.service.connection() as connection:
            answer = await connection.fetchval(
                RECORD,
                fence.token,
                fence.partition,
                key,
                entry.job,
                entry.generation,
                revision,
                entry.lane,
                entry.offset,
                entry.body if died else None,
                *row,
            )
        return Answer(answer)

    async def replay_in_place(self, fence: Fence, key: int, entry: Entry) -> Answer:
        async with self.service.connection() as connection:
            answer = await connection.fetchval(
                REPLAY,
                fence.token,
                fence.partition,
                key,
                entry.job,
                entry.generation,
                b"submission",
                entry.body,
            )
        return Answer(answer)

    async def cancel(self, entry: Entry) -> Answer:
        async with self.service.connection() as connection:
            answer = await connection.fetchval(
                CANCEL,
                entry.job,
                entry.generation,
                entry.partition,
                entry.lane,
                entry.offset,
                entry.body,
            )
        return Answer(answer)

    async def write(self, transaction: Share, key: str, value: int) -> None:
        await transaction.connection().execute(
            "INSERT INTO effect VALUES ($1, $2)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    async def read(self, key: str) -> int | None:
        async with self.service.connection() as connection:
            found: int | None = await connection.fetchval(
                "SELECT value FROM effect WHERE key = $1", key
            )
        return found


@asynccontextmanager
async def in_postgres(
    url: str,
    *,
    sessions: Any = None,  # noqa: ANN401 - a sessionmaker of any kind
    size: int = 4,
    **handlers: Any,  # noqa: ANN401 - a pool's settings
) -> AsyncIterator[PostgresWorld]:
    """A worker's adapters over a migrated database; `handlers` go to its handlers' pool."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(Pool(url, 4, settings=SERVICE))
        pool = await stack.enter_async_context(
            Pool(url, size, prepare=PREPARE + ";" + PREPARE_SHARED, **handlers)
        )
        await Cluster(service).pin(PARTITIONS, "cluster", {})
        async with service.connection() as connection:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS effect (key text PRIMARY KEY, value integer)"
            )
        yield PostgresWorld(url, service, pool, sessions)
