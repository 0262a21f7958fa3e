"""What can be got at while a run goes on?"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processor.chaos.diary import Diary
    from processor.chaos.feeding import Feeding
    from processor.chaos.line import Held, Line
    from processor.chaos.servers import Servers
    from processor.settings import Settings
    from processor.staging.children import Child


@dataclass
class Scene:
    """A run, in the hands of whoever makes faults."""

    settings: Settings
    line: Line
    feeding: Feeding
    diary: Diary
    chance: random.Random
    servers: Servers | None = None
    """Where broker and database are the run's own."""
    spared: int = 0
    """The one connection that keeps others from dropping the run's database."""
    steady: list[Child] = field(default_factory=list)
    """Processes that live through the whole run: they are frozen, but not killed."""

    def victim(self) -> Child:
        """A worker that may be killed."""
        return self.chance.choice([one for one in self.line.workers if one not in self.steady])

    async def working_victim(self) -> tuple[Child, Held]:
        """A worker that may be killed, and holds partitions in which it has worked."""
        found: list[tuple[Child, Held]] = []

        async def somebody_works() -> bool:
            victim = self.victim()
            held = await self.line.held_by(victim)
            if held is not None:
                found.append((victim, held))
            return bool(found)

        await self.line.must(somebody_works, "a worker that may be killed works")
        return found[0]

    def anybody(self) -> Child:
        """A worker that may be frozen."""
        return self.chance.choice(self.line.workers)
