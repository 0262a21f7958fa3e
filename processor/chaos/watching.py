"""How large do the processes grow, and how much is left to do, while a run goes on?"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from processor.chaos.copying import Copying
    from processor.chaos.scene import Scene

SAMPLE_SECONDS: Final = 5.0
WARM_SECONDS: Final = 300.0
"""So long a process may grow, or a sixth of its life where that is shorter."""
GROWTH: Final = 1.10
"""What a process may be larger by afterwards."""
WINDOW: Final = 12
"""So many samples are taken together: a minute."""
STEADY: Final = 1.25
"""A backlog that grows all the time is half as large again from one third of it to the next."""
FLOOR_SECONDS: Final = 20.0
"""A backlog of so many seconds' work is bounded, whatever came before."""

BACKLOG: Final = """
SELECT (SELECT count(*) FROM jobs.waiting),
    (SELECT sum(critical + high + normal + low)::bigint FROM jobs.ownership)
"""


class Size(NamedTuple):
    """Resident memory, in bytes."""

    seconds: float
    bytes: int


class Backlog(NamedTuple):
    """What was left to do."""

    seconds: float
    waiting: int
    """Rows of the waiting room."""
    unsettled: int
    """Records in the lanes that are not done; the last number known while the broker is away."""


class Growth(NamedTuple):
    """How a process grew after it was warm."""

    process: str
    seconds: float
    """For which it was watched."""
    warm: int
    """Bytes once it was warm."""
    most: int
    """The most, later, over a minute."""

    @property
    def is_bounded(self) -> bool:
        """Whether it stayed within a tenth."""
        return self.most <= self.warm * GROWTH


@dataclass
class Watching:
    """The samples of a run."""

    sizes: dict[str, list[Size]] = field(default_factory=lambda: defaultdict(list))
    backlog: list[Backlog] = field(default_factory=list)

    async def sample(self, scene: Scene, copying: Copying) -> None:
        """Look once."""
        seconds = scene.diary.seconds
        waiting, done = (await scene.line.asking.fetch(BACKLOG))[0]
        try:
            unsettled = max(0, sum((await copying.lane_ends()).values()) - (done or 0))
        except KafkaError:
            unsettled = self.backlog[-1].unsettled if self.backlog else 0
        self.backlog.append(Backlog(seconds, waiting, unsettled))
        processes = {one.name: one.pid for one in (*scene.line.workers, *scene.line.projectors)}
        if scene.servers is not None:
            processes["broker"] = scene.servers.broker.pid
        for name, pid in processes.items():
            if size := await asyncio.to_thread(resident, pid):
                self.sizes[name].append(Size(seconds, size))

    def growths(self) -> list[Growth]:
        """Of every process of ours that lived long enough to tell."""
        found = (growth_of(name, sizes) for name, sizes in self.sizes.items() if name != "broker")
        return [growth for growth in found if growth is not None]


def growth_of(process: str, sizes: Sequence[Size]) -> Growth | None:
    """How one grew; None where too few samples were taken after it was warm."""
    if not sizes:
        return None
    began, lived = sizes[0].seconds, sizes[-1].seconds - sizes[0].seconds
    warm = min(WARM_SECONDS, lived / 6)
    later = [size.bytes for size in sizes if size.seconds >= began + warm]
    window = min(WINDOW, len(later) // 4)
    if window == 0:
        return None
    windows = [later[at : at + window] for at in range(0, len(later) - window + 1, window)]
    middles = [int(median(one)) for one in windows]
    return Growth(process, lived, middles[0], max(middles[1:]))


def is_bounded(samples: Sequence[int], rate: float) -> bool:
    """Whether a backlog did not grow: its last third is hardly larger than the one before."""
    third = len(samples) // 3
    if not third:
        return True
    before, last = samples[third : 2 * third], samples[-third:]
    return max(last) <= max(STEADY * max(before), rate * FLOOR_SECONDS)


def resident(pid: int) -> int:
    """The resident memory of a process in bytes; 0 for one that is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        pass
    if Path("/proc/self").exists():
        return 0
    told = subprocess.run(  # noqa: S603 - our own child
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607 - where there is no /proc
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return int(told or 0) * 1024
