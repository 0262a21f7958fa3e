"""How is a run fed, disturbed and looked at, all at the same time, and brought to rest?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from processor.bootstrap.failures import one_failure
from processor.chaos.asking import LOOK_SECONDS
from processor.chaos.faults import FAULTS
from processor.chaos.feeding import DONE, PIECE, STEP_SECONDS
from processor.chaos.line import StandStill
from processor.chaos.wanted import KILLED, draw
from processor.chaos.watching import SAMPLE_SECONDS, Watching

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from processor.chaos.looking import Looks
    from processor.chaos.scene import Scene
    from processor.chaos.wanted import Wanted

BACKLOG: Final = 600
FULL: Final = 6_000
"""The backlog while the ceiling is measured."""
WARMING_SECONDS: Final = 10.0
CEILING_SECONDS: Final = 20.0
PAUSE_SECONDS: Final = (0.0, 2.0)
FEWEST_WORKERS: Final = 2
STILL_SECONDS: Final = 90.0
"""Nothing may move for so long while a run comes to rest."""

POSITIONS: Final = "SELECT partition, critical, high, normal, low FROM jobs.ownership"
CHECKPOINTS: Final = "SELECT topic, partition, next FROM jobs.checkpoint"
WAITING: Final = "SELECT count(*) FROM jobs.waiting"


@dataclass
class Run:
    """One run, from the first process to the last record."""

    wanted: Wanted
    scene: Scene
    looks: Looks
    say: Callable[[str], None]
    watching: Watching = field(default_factory=Watching)
    ceiling: float = 0.0
    """Jobs a second, undisturbed, where it was measured."""
    stood_still: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """How long it was disturbed."""

    async def work(self) -> None:
        """Work and disturb until the run has had enough."""
        line, wanted = self.scene.line, self.wanted
        self.scene.steady += [await line.worker(), await line.projector()]
        for _ in range(wanted.workers - 1):
            await line.worker()
        await line.projector()
        async with beside(self.scene.feeding.keep(BACKLOG)):
            await line.has_worked(*line.workers)
        if wanted.share is not None:
            self.ceiling = await self._measure()
        async with (
            beside(self._feed()),
            beside(self.scene.feeding.operate()),
            beside(self.looks.go_on(self.scene)),
            beside(self._watch()),
        ):
            await self._disturb()

    def _feed(self) -> Coroutine[Any, Any, None]:
        feeding = self.scene.feeding
        if self.wanted.share is None:
            return feeding.keep(BACKLOG)
        return feeding.at(self.ceiling * self.wanted.share)

    async def _disturb(self) -> None:
        scene, began = self.scene, time.monotonic()
        names = self.wanted.happening(own_servers=scene.servers is not None)
        faults = draw(names, scene.chance)
        while not self.wanted.is_over(scene.diary, self.seconds, scene.feeding.acked, names):
            last = time.monotonic()
            if (name := next(faults, None)) is not None:
                await self._make(name)
            pause = scene.chance.uniform(*PAUSE_SECONDS)
            if self.wanted.every is not None:
                pause = max(0.0, last + self.wanted.every - time.monotonic())
            await asyncio.sleep(pause)
            await scene.line.children.check()
            self.seconds = time.monotonic() - began

    async def _make(self, name: str) -> None:
        self.scene.diary.write(f"fault {name}")
        try:
            await FAULTS[name](self.scene)
        except StandStill as still:
            self.stood_still.append(str(still))
            self.scene.diary.write("stands still", why=str(still))

    async def _measure(self) -> float:
        """Submissions a second that are worked off, with as many to do as it takes."""
        feeding = self.scene.feeding
        async with beside(feeding.operate()), beside(self.looks.go_on(self.scene)):
            async with beside(self._fill()):
                await asyncio.sleep(WARMING_SECONDS)
                before, began = feeding.acked - await self._left(), time.monotonic()
                await asyncio.sleep(CEILING_SECONDS)
                gone = feeding.acked - await self._left() - before
                rate = gone / (time.monotonic() - began)
            # The rest is worked off first: faults are to meet a line that keeps up.
            await self.scene.line.must(self._is_worked_off, "the backlog is worked off")
        self.say(f"the ceiling, undisturbed: {rate:,.0f} jobs/s")
        self.scene.diary.write("ceiling", jobs_a_second=round(rate, 1))
        return rate

    async def _fill(self) -> None:
        while True:
            if await self._left() < FULL:
                await self.scene.feeding.submit(self.scene.feeding.mixture.take(PIECE))
            else:
                await asyncio.sleep(STEP_SECONDS)

    async def _is_worked_off(self) -> bool:
        return await self._left() < BACKLOG

    async def _left(self) -> int:
        """What has not ended: in the lanes, or in the waiting room, which is no less to do."""
        ends = await self.looks.copying.lane_ends()
        waiting = int(await self.scene.line.asking.value(WAITING))
        return sum(ends.values()) - await self._done() + waiting

    async def _watch(self) -> None:
        while True:
            await self.watching.sample(self.scene, self.looks.copying)
            self.say(self._standing())
            await asyncio.sleep(SAMPLE_SECONDS)

    def _standing(self) -> str:
        scene, left = self.scene, self.watching.backlog[-1]
        faults = sum(count for what, count in scene.diary.done.items() if what.startswith("fault "))
        return (
            f"{scene.diary.seconds:6.1f} s · {scene.feeding.acked:,} acknowledged"
            f" · {left.unsettled:,} not done · {left.waiting:,} wait"
            f" · {faults} faults, {scene.diary.done[KILLED]} kill -9"
            f" · {sum(self.looks.violations.values())} violations in {self.looks.whole} looks"
            f" · {scene.diary.last}"
        )

    async def come_to_rest(self) -> None:
        """Submit no more; return when all has ended and is projected, or nothing moves any more."""
        line = self.scene.line
        for child in (*line.workers, *line.projectors):
            child.wake()
        while len(line.workers) < FEWEST_WORKERS:
            await line.worker()
        self.scene.diary.write("comes to rest")
        told = moved = time.monotonic()
        last = (-1, -1)
        while not await self._is_at_rest():
            await line.children.check()
            now = (await self._done(), await line.asking.value(WAITING))
            if now != last:
                moved, last = time.monotonic(), now
            if time.monotonic() - told > SAMPLE_SECONDS:
                told = time.monotonic()
                await self.watching.sample(self.scene, self.looks.copying)
                self.say(self._standing())
            if time.monotonic() - moved > STILL_SECONDS:
                self.stood_still.append(
                    f"nothing moved for {STILL_SECONDS:g} s while it came to rest: {now[1]:,} wait"
                )
                return
            await asyncio.sleep(LOOK_SECONDS * 5)

    async def _is_at_rest(self) -> bool:
        """Whether positions and checkpoints, read first, stand at the ends, and nothing waits."""
        asking, topics = self.scene.line.asking, self.scene.settings.topics
        if await self.scene.feeding.unblock() or await asking.value(WAITING):
            return False
        positions = await asking.fetch(POSITIONS)
        checkpoints = await asking.fetch(CHECKPOINTS)
        try:
            ends = await self.looks.copying.ends()
        except KafkaError:
            return False
        reached = {
            (topic, partition): at
            for partition, *lanes in positions
            for topic, at in zip(topics.lanes, lanes, strict=True)
        }
        return all(ends[place] == at for place, at in reached.items()) and all(
            ends[topic, partition] <= at for topic, partition, at in checkpoints
        )

    async def _done(self) -> int:
        return int(await self.scene.line.asking.value(DONE) or 0)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that goes on while the block lasts; raises what it raises."""
    with one_failure():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            yield
            task.cancel()
