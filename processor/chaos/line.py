"""Which processes work a run, who of them holds what, and how is one killed?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from processor.chaos.asking import until
from processor.chaos.handlers import APPLICATION, NAMES
from processor.domain.errors import ProcessorError

if TYPE_CHECKING:
    from pathlib import Path

    from processor.chaos.asking import Asking
    from processor.staging.children import Child, Children

PATIENCE: Final = 240.0
"""Seconds for which something may stand still: far longer than any take-over, and long enough for
a partition whose owners died to run what they had read one by one."""

NOW: Final = "SELECT clock_timestamp()"
OWNED: Final = """
SELECT partition FROM jobs.ownership WHERE worker::text LIKE $1 || '%' AND NOT released
"""
ELSEWHERE: Final = """
SELECT min(at) FROM chaos.effect WHERE at > $1 AND partition = ANY ($2) AND worker <> $3
"""
WORKED: Final = "SELECT EXISTS (SELECT FROM chaos.effect WHERE at > $1 AND worker = $2)"


class StandStill(ProcessorError):  # noqa: N818 - says what was seen
    """Something that had to go on did not."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a worker had when something was done to it."""

    worker: str
    """As its effects name it."""
    partitions: list[int]
    since: datetime


@dataclass
class Line:
    """The workers and the projectors of a run."""

    children: Children
    asking: Asking
    folder: Path
    """The folder that they work in."""
    application: str = APPLICATION
    workers: list[Child] = field(default_factory=list)
    projectors: list[Child] = field(default_factory=list)
    begun: int = 0

    async def worker(self, **changed: str) -> Child:
        """One worker more; `changed` are variables of its environment."""
        self.begun += 1
        child = await self.children.start(
            f"worker {self.begun}", "worker", self.application, **changed
        )
        self.workers.append(child)
        return child

    async def projector(self) -> Child:
        """One projector more; all but one stand by."""
        self.begun += 1
        child = await self.children.start(f"projector {self.begun}", "projector")
        self.projectors.append(child)
        return child

    async def kill(self, child: Child) -> None:
        """End it with SIGKILL."""
        self._forget(child)
        await child.kill()

    async def stop(self, child: Child) -> None:
        """End it with SIGTERM; raises `ProcessorError` where it does not end cleanly."""
        self._forget(child)
        await child.stop()

    def _forget(self, child: Child) -> None:
        for running in (self.workers, self.projectors):
            if child in running:
                running.remove(child)

    def name_of(self, child: Child) -> str | None:
        """How its effects name a worker; None before its first one."""
        written = self.folder / NAMES / str(child.pid)
        return written.read_text("utf-8") or None if written.exists() else None

    async def now(self) -> datetime:
        """The time by the database's clock."""
        found: datetime = await self.asking.value(NOW)
        return found

    async def has_worked(self, *workers: Child) -> None:
        """Return when each has left an effect behind that is younger than now."""
        since = await self.now()

        async def all_have() -> bool:
            for child in workers:
                name = self.name_of(child)
                if name is None or not await self.asking.value(WORKED, since, name):
                    return False
            return True

        await self.must(all_have, f"{', '.join(one.name for one in workers)} works")

    async def held_by(self, child: Child) -> Held | None:
        """What a worker holds now; None where it has not worked yet, or holds nothing."""
        name = self.name_of(child)
        if name is None:
            return None
        rows = await self.asking.fetch(OWNED, name.rpartition("/")[2])
        partitions = [number for (number,) in rows]
        return Held(name, partitions, await self.now()) if partitions else None

    async def worked_elsewhere(self, held: Held) -> float:
        """Seconds from then until somebody else has worked in one of those partitions."""
        first: list[datetime] = []

        async def worked() -> bool:
            at = await self.asking.value(ELSEWHERE, held.since, held.partitions, held.worker)
            first[:] = [] if at is None else [at]
            return bool(first)

        await self.must(worked, f"partitions {held.partitions} are worked elsewhere")
        return (first[0] - held.since).total_seconds()

    async def must(self, reached: Callable[[], Awaitable[bool]], what: str) -> None:
        """Return when it is so; raises `StandStill` where it is not in time."""
        if not await until(reached, PATIENCE):
            raise StandStill(f"after {PATIENCE:g} s it is not so that {what}")
