"""How long does the work stand still after a death, a restart, a rebalance?

On the run's own servers, with two workers and always something to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from processor.chaos.asking import until
from processor.chaos.diary import Diary
from processor.chaos.feeding import DONE
from processor.chaos.line import PATIENCE, StandStill
from processor.chaos.mixture import Mixture
from processor.chaos.running import staged
from processor.chaos.wanted import Wanted
from processor.chaos.working import BACKLOG, beside
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from pathlib import Path

    from processor.chaos.scene import Scene
    from processor.chaos.servers import Servers
    from processor.local.jars import Progress
    from processor.local.server import Server
    from processor.settings import Settings

TIMES: Final = 3
SESSION_SECONDS: Final = 6.0
"""As on every local stack."""
LOOK_SECONDS: Final = 0.01
SETTLE_SECONDS: Final = 2.0
BEFORE_SECONDS: Final = 5.0
CALM: Final = "SELECT coalesce(sum(unclean), 0) = 0 FROM jobs.ownership"
FIRST_EFFECT: Final = "SELECT min(at) FROM chaos.effect WHERE at > $1"
KEPT: Final = """
SELECT partition FROM jobs.ownership
WHERE NOT released AND NOT EXISTS (
    SELECT FROM chaos.owner WHERE owner.partition = ownership.partition AND at > $1
)
"""
GAP: Final = """
WITH one AS (
    SELECT at - lag(at) OVER (PARTITION BY worker ORDER BY at) AS gap FROM chaos.effect
    WHERE at BETWEEN $1 AND $2 AND partition = ANY ($3)
)
SELECT coalesce(extract(epoch FROM max(gap)), 0)::float8 FROM one
"""


class Short(Mixture):
    """Short jobs with a transaction, and no others."""

    def take(self, count: int) -> list[Submission]:
        """The next ones."""
        return [self.effect(0) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Measured:
    """One thing that was measured, several times, in seconds."""

    what: str
    seconds: list[float] = field(default_factory=list)

    @property
    def line(self) -> str:
        """All of it in words."""
        each = ", ".join(f"{one:.3f}" for one in self.seconds)
        return f"{self.what}: {median(self.seconds):.3f} s at the median ({each})"


class Stay(NamedTuple):
    """How long a server was away, and how long the work stood still after it was back."""

    away: float
    after: float


async def measure(
    settings: Settings,
    log: Path,
    say: Callable[[str], None],
    progress: Progress | None = None,
    times: int = TIMES,
) -> list[Measured]:
    """Measure each so many times. Raises `StandStill` where work does not go on."""
    wanted = Wanted(0, log, faults=())
    with Diary(log) as diary:
        async with staged(wanted, settings, diary, progress) as scene:
            scene.feeding.mixture = Short(0)
            line = scene.line
            await line.worker()
            await line.worker()
            await line.projector()
            async with beside(scene.feeding.keep(BACKLOG)):
                await line.has_worked(*line.workers)
                found = [
                    *await _rebalances(scene, times),
                    await _deaths(scene, times),
                    *await _restarts(scene, times),
                ]
        diary.is_clean = True
    for one in found:
        say(one.line)
    return found


async def _deaths(scene: Scene, times: int) -> Measured:
    found = Measured(
        "from kill -9 of one of two workers to the first of its entities worked elsewhere,"
        f" with a session time-out of {scene.settings.session_timeout:g} s"
    )
    for _ in range(times):
        victim = scene.victim()
        held = await scene.line.held_by(victim)
        await scene.line.kill(victim)
        if held is not None:
            found.seconds.append(await scene.line.worked_elsewhere(held))
        await scene.line.worker()
        await _calm(scene)
    return found


async def _calm(scene: Scene) -> None:
    """Return once everybody works and nothing is suspected any more."""
    await scene.line.has_worked(*scene.line.workers)

    async def calm() -> bool:
        return bool(await scene.line.asking.value(CALM))

    await scene.line.must(calm, "nobody is suspected")
    await asyncio.sleep(SETTLE_SECONDS)


async def _restarts(scene: Scene, times: int) -> list[Measured]:
    if scene.servers is None:
        return []
    servers: Servers = scene.servers
    broker = [await _broker(scene, servers.broker) for _ in range(times)]
    database = [await _database(scene, servers.database.server) for _ in range(times)]
    return [
        Measured(
            "from the broker serving again, after a kill -9, to the first position moving",
            [one.after for one in broker],
        ),
        Measured("the broker was away for", [one.away for one in broker]),
        Measured(
            "from the database serving again, after a kill -9, to the first effect",
            [one.after for one in database],
        ),
        Measured("the database was away for", [one.away for one in database]),
    ]


async def _broker(scene: Scene, broker: Server) -> Stay:
    began = time.monotonic()
    await broker.kill()
    await broker.start()
    back = time.monotonic()
    before = await scene.line.asking.value(DONE)

    async def moved() -> bool:
        return bool(await scene.line.asking.value(DONE) > before)

    await _until(moved, "positions move")
    stay = Stay(back - began, time.monotonic() - back)
    await _calm(scene)
    return stay


async def _database(scene: Scene, server: Server) -> Stay:
    began = time.monotonic()
    await server.kill()
    await server.start()
    back = time.monotonic()
    now = await scene.line.now()
    first: list[datetime] = []

    async def worked() -> bool:
        at = await scene.line.asking.value(FIRST_EFFECT, now)
        first[:] = [] if at is None else [at]
        return bool(first)

    await _until(worked, "effects come")
    stay = Stay(back - began, time.monotonic() - back)
    await _calm(scene)
    return stay


async def _rebalances(scene: Scene, times: int) -> list[Measured]:
    joins, leaves = (
        Measured(
            "longest gap between effects of a worker's kept partitions while a third one joins"
        ),
        Measured("the same while it leaves"),
    )
    usual = Measured("the same while nothing happens")
    for _ in range(times):
        began = await scene.line.now()
        await asyncio.sleep(BEFORE_SECONDS)
        joined = await scene.line.now()
        usual.seconds.append(await _gap(scene, began, joined, began))
        third = await scene.line.worker()
        await scene.line.has_worked(third)
        await asyncio.sleep(SETTLE_SECONDS)
        left = await scene.line.now()
        joins.seconds.append(await _gap(scene, joined, left, joined))
        await scene.line.stop(third)
        await asyncio.sleep(SETTLE_SECONDS)
        leaves.seconds.append(await _gap(scene, left, await scene.line.now(), left))
    return [joins, leaves, usual]


async def _gap(scene: Scene, began: datetime, ended: datetime, since: datetime) -> float:
    """The longest gap in that time within the partitions that were kept since then."""
    rows = await scene.line.asking.fetch(KEPT, since)
    kept = [number for (number,) in rows]
    gap: float = await scene.line.asking.value(GAP, began, ended, kept)
    return gap


async def _until(reached: Callable[[], Awaitable[bool]], what: str) -> None:
    if not await until(reached, PATIENCE, LOOK_SECONDS):
        raise StandStill(f"after {PATIENCE:g} s it is not so that {what}")
