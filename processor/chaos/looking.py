"""How often was looked at a run while it went on, and what was seen?"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from processor.adapters.postgres.faults import DRIVER_ERRORS
from processor.chaos.checking import Found, look, note
from processor.chaos.invariants import When

if TYPE_CHECKING:
    from processor.chaos.copying import Copying
    from processor.chaos.scene import Scene

LOOK_SECONDS: Final = 10.0
"""From the end of one look to the beginning of the next, or ten times as long as a look takes."""
AT_ONCE: Final = 10_000


@dataclass
class Looks:
    """Looks at a run again and again."""

    copying: Copying
    whole: int = 0
    broken_off: int = 0
    """Looks during which the broker or the database went away."""
    violations: Counter[str] = field(default_factory=Counter)
    """The most that one look saw, by invariant."""
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def go_on(self, scene: Scene) -> None:
        """Look until cancelled."""
        taken = 0.0
        while True:
            await asyncio.sleep(max(LOOK_SECONDS, 10 * taken))
            began = time.monotonic()
            try:
                await self._once(scene)
            except (*DRIVER_ERRORS, KafkaError):
                self.broken_off += 1
            taken = time.monotonic() - began

    async def last(self, scene: Scene) -> list[Found]:
        """Look at what is left when all is done."""
        async with scene.line.asking.apart() as connection:
            await note(connection, answers=scene.feeding.answers)
            acked: list[object] = []
            for job in scene.feeding.acknowledged():
                acked.append(job)
                if len(acked) == AT_ONCE:
                    await note(connection, acked)
                    acked.clear()
            await note(connection, acked)
            return await look(connection, self.copying, scene.settings.topics, When.AFTERWARDS)

    async def _once(self, scene: Scene) -> None:
        async with scene.line.asking.apart() as connection:
            found = await look(connection, self.copying, scene.settings.topics)
        self.whole += 1
        for one in found:
            if one.violations > self.violations[one.invariant.name]:
                self.violations[one.invariant.name] = one.violations
                self.lines[one.invariant.name] = one.lines
                scene.diary.write(
                    "violations", of=one.invariant.name, number=one.violations, first=one.lines[0]
                )
