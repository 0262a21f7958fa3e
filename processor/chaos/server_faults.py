"""What is done to the broker, to the database and to the ways to them?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.faults import DRIVER_ERRORS

if TYPE_CHECKING:
    from processor.chaos.scene import Scene
    from processor.chaos.servers import Servers

AWAY_SECONDS: Final = (0.0, 4.0)
"""So long a server is away, at the least and at the most, beyond the time it takes to start."""
LAGGING_SECONDS: Final = (0.5, 3.0)
ROUNDS: Final = 5

CUT: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> $1
"""


def _own(scene: Scene) -> Servers:
    if scene.servers is None:
        message = "the servers are not the run's own"
        raise AssertionError(message)
    return scene.servers


async def kafka(scene: Scene) -> None:
    """The broker is stopped or killed, and after a while started again."""
    broker = _own(scene).broker
    how = scene.chance.choice(("stop", "kill -9"))
    await (broker.stop() if how == "stop" else broker.kill())
    scene.diary.write("broker away", how=how)
    await asyncio.sleep(scene.chance.uniform(*AWAY_SECONDS))
    await broker.start()
    scene.diary.write("broker back")


async def postgres(scene: Scene) -> None:
    """The database is stopped or killed, and after a while started again."""
    server = _own(scene).database.server
    how = scene.chance.choice(("stop", "kill -9"))
    await (server.stop() if how == "stop" else server.kill())
    scene.diary.write("database away", how=how)
    await asyncio.sleep(scene.chance.uniform(*AWAY_SECONDS))
    await server.start()
    scene.diary.write("database back")


async def cut(scene: Scene) -> None:
    """Every connection to the database is cut, a few times."""
    for _ in range(ROUNDS):
        try:
            async with scene.line.asking.apart() as connection:
                number = await connection.fetchval(CUT, scene.spared)
        except DRIVER_ERRORS:
            continue
        scene.diary.write("connections cut", number=number)
        await asyncio.sleep(scene.chance.uniform(0.05, 0.5))


async def coordinator(scene: Scene) -> None:
    """A worker loses its group's coordinator and nothing else, until others have its work (H7)."""
    servers = _own(scene)
    victim = await scene.line.worker(JOBS_KAFKA=servers.through_proxy)
    try:
        await scene.line.has_worked(victim)
        held = await scene.line.held_by(victim)
        servers.proxy.cut()
        scene.diary.write("coordinator cut", of=victim.name)
        if held is not None:
            await scene.line.worked_elsewhere(held)
    finally:
        servers.proxy.heal()
    scene.diary.write("coordinator back", of=victim.name)
    await scene.line.has_worked(victim)
    await scene.line.stop(victim)


async def standby(scene: Scene) -> None:
    """The database is lost, and a standby takes over that had not heard of its last seconds."""
    database = _own(scene).database
    async with database.standby() as follower:
        scene.diary.write("standby follows")
        await follower.cut_off()
        await asyncio.sleep(scene.chance.uniform(*LAGGING_SECONDS))
        await follower.take_over()
    scene.diary.write("standby promoted")


CONNECTIONS: Final = "cut"
"""The one of these that needs no servers of one's own."""
SERVER_FAULTS: Final[Mapping[str, Callable[[Scene], Awaitable[None]]]] = {
    "kafka": kafka,
    "postgres": postgres,
    CONNECTIONS: cut,
    "coordinator": coordinator,
    "standby": standby,
}
