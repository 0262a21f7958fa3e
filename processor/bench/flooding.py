"""How soon does a critical job start while hundreds of thousands of low ones wait?

The flood is submitted first, then the worker starts. The first and the last part of the flood are
worked alone; in between critical jobs are submitted, 20 a second, so that the rate of the low lane
meanwhile is compared with its rate before and after in the same run.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from processor.bench.draining import RATE, start, worked
from processor.bench.journal import Journal
from processor.bench.latency import evenly, spread, submit_one, waited
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.watching import assert_worked, until
from processor.bench.work import submissions
from processor.bootstrap.producing import connected
from processor.domain.priority import Priority

if TYPE_CHECKING:
    from processor.bench.ground import Ground, Place
    from processor.bench.question import Wanted
    from processor.bench.work import Workload

EACH_SECOND: Final = 20
BEGIN, ALONE, MIXED, END = 0.02, 0.15, 0.85, 0.98
"""Parts of the flood: until the first and after the last nothing is counted, since there the worker
starts and runs dry; between the second and the third critical jobs come."""


async def flood(ground: Ground, wanted: Wanted, workload: Workload) -> Round:
    """One round, over a flood of one workload."""
    async with (
        ground.place() as place,
        await Journal.of(place.settings) as journal,
        connected(place.settings) as client,
    ):
        ground.show.step("submitting", 0, wanted.jobs)
        await client.submit(submissions(workload.type, wanted.jobs, Priority.LOW))
        workers = await start(place, workload, wanted.workers)
        flood = _Flood(ground, place, journal, wanted.jobs)
        begun = await flood.worked_to(BEGIN)
        meter = Meter(place.machine.beside(worker=workers))
        async with profiled(workers[0], wanted.profile):
            alone = await flood.worked_to(ALONE)
            mixing = asyncio.create_task(flood.worked_to(MIXED))
            critical = await evenly(
                EACH_SECOND,
                lambda _: not mixing.done(),
                partial(submit_one, client, [Priority.CRITICAL]),
            )
            mixed = await mixing
            last = await flood.worked_to(END)
            taken = meter.read()
        await worked(ground, place, journal, wanted.jobs + critical)
        await assert_worked(place, wanted.jobs + critical, effects=False)
        meanwhile = (mixed[0] - alone[0] - critical) / (mixed[1] - alone[1])
        without = (alone[0] - begun[0] + last[0] - mixed[0]) / (
            alone[1] - begun[1] + last[1] - mixed[1]
        )
        waits = await waited(place, [Priority.CRITICAL])
        figures = {**spread(waits), **beside(meanwhile, without)}
        return Round.of(wanted.jobs, figures, taken, last[0] - begun[0])


def beside(meanwhile: float, alone: float) -> dict[str, float]:
    """The low lane's rate beside critical jobs, and alone."""
    return {
        f"low {RATE}": meanwhile,
        f"low {RATE} alone": alone,
        "% of its rate alone": meanwhile / alone * 100,
    }


class _Flood:
    """How far it is worked, and when."""

    def __init__(self, ground: Ground, place: Place, journal: Journal, jobs: int) -> None:
        self._ground = ground
        self._place = place
        self._journal = journal
        self._jobs = jobs

    async def worked_to(self, part: float) -> tuple[int, float]:
        """Wait until that part is worked; how many there are then, and when."""
        wanted = max(1, int(self._jobs * part))
        found = await until(self._ground, self._place, "working", self._journal.count, wanted)
        return found, time.perf_counter()
