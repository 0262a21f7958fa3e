"""How does a test speak to the waiting room and what stands beside it, in memory and for real?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import asyncpg

from processor.adapters.memory.cancelling import MemoryCancelling, MemoryWakes
from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.operations import MemoryOperations
from processor.adapters.memory.waiting_room import MemoryWaitingRoom
from processor.adapters.postgres.cancelling import PostgresCancelling
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.operations import PostgresOperations
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.adapters.postgres.wakes import PostgresWakes
from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.ports.cancelling import Cancelling, Wakes
from processor.ports.holds import AllHolds
from processor.ports.operations import Operations
from processor.ports.waiting_room import Rows, Sweeping, Wait, Waiting, WaitingRoom, WaitingState
from tests.contract.worlds import MemoryWorld, PostgresWorld, World, a_job

ENTITY = 7
FAR = 1_000_000.0


class Room(WaitingRoom, Sweeping, Rows, Protocol):
    """Both ports of the waiting room."""


@dataclass
class Rooms:
    """What is tested, over one world's database."""

    world: World
    room: Room
    holds: AllHolds
    operations: Operations
    cancelling: Cancelling
    wakes: Wakes

    async def queue(self, partition: int, limit: int) -> list[Waiting]:
        """What is queued of `ENTITY`."""
        (found,) = await self.room.queues([(partition, ENTITY)], limit)
        return found

    async def later(self, seconds: float) -> None:
        """Let the database's time pass: for PostgreSQL what is in the future comes nearer."""
        if isinstance(self.world, MemoryWorld):
            clock = self.world.database.clock
            assert isinstance(clock, ManualClock)
            clock.advance(seconds)
            return
        assert isinstance(self.world, PostgresWorld)
        async with self.world.service.connection() as connection:
            for change in (
                "UPDATE jobs.waiting SET due_at = due_at - make_interval(secs => $1)",
                "UPDATE jobs.waiting SET since = since - make_interval(secs => $1)",
                "UPDATE jobs.hold SET until = until - make_interval(secs => $1)",
                "UPDATE jobs.hold SET probe_until = probe_until - make_interval(secs => $1)",
            ):
                await connection.execute(change, seconds)

    async def now(self) -> int:
        """The database's time, in microseconds since the epoch."""
        if isinstance(self.world, MemoryWorld):
            return self.world.database.clock.now()
        assert isinstance(self.world, PostgresWorld)
        async with self.world.service.connection() as connection:
            now: int = await connection.fetchval(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
            )
        return now

    async def row(self, job: JobId) -> Waiting:
        """A row as it stands, made due where it is not: there is no other way to see it whole."""
        for state in WaitingState:
            await self.room.wake(0, [state])
        (row,) = [one for one in await self.room.due([0], [], 1000) if one.wait.job == job]
        return row


def over(world: World) -> Rooms:
    """The adapters over a world's database, another worker's as it were."""
    if isinstance(world, MemoryWorld):
        database = world.database
        return Rooms(
            world,
            MemoryWaitingRoom(database),
            MemoryHolds(database),
            MemoryOperations(database),
            MemoryCancelling(database),
            MemoryWakes(database),
        )
    assert isinstance(world, PostgresWorld)
    pool = world.service
    return Rooms(
        world,
        PostgresWaitingRoom(pool),
        PostgresHolds(pool),
        PostgresOperations(pool),
        PostgresCancelling(pool),
        PostgresWakes(world.url),
    )


def a_wait(
    state: WaitingState = WaitingState.RETRYING,
    *,
    job: JobId | None = None,
    generation: int = 1,
    entity: int = ENTITY,
    lane: Priority = Priority.NORMAL,
    place: int = 100,
    due_in: float | None = None,
) -> Wait:
    """A row; whatever is neither queued nor scheduled holds its entity."""
    return Wait(
        job=job or a_job(),
        generation=generation,
        entity_key=entity,
        state=state,
        lane=lane,
        place=place,
        submission=b"submission",
        holds=state not in (WaitingState.QUEUED, WaitingState.SCHEDULED),
        due_in=due_in,
    )


def queued(job: JobId | None = None, *, entity: int = ENTITY, place: int = 100) -> Wait:
    """A row behind its entity's head."""
    return a_wait(WaitingState.QUEUED, job=job, entity=entity, place=place)


def held(hold: int, *, entity: int = ENTITY) -> Wait:
    """A row that a hold keeps."""
    return replace(a_wait(WaitingState.HELD, entity=entity), hold=hold)


def jobs_of(rows: list[Waiting]) -> list[JobId]:
    """Whose rows they are, in their order."""
    return [row.wait.job for row in rows]


async def connect(world: PostgresWorld) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of the test's own, to hold locks and open transactions on."""
    return await asyncpg.connect(world.url)
