"""How fast does a worker drain what waits?

The jobs are submitted first, then the workers start. Measured from the start of the first job to
the last outcome that the journal acknowledged; with several workers from the moment at which each
owns partitions.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from processor.bench.journal import Journal
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.watching import DONE, OWNERS, assert_worked, counting, until
from processor.bench.work import submissions
from processor.bootstrap.producing import connected

if TYPE_CHECKING:
    from processor.bench.ground import Ground, Place
    from processor.bench.question import Wanted
    from processor.bench.work import Workload

RATE: Final = "jobs/s"

Before = Callable[["Place"], Awaitable[None]]


async def _nothing(_: Place) -> None: ...


async def drain(
    ground: Ground, wanted: Wanted, workload: Workload, before: Before = _nothing
) -> Round:
    """One round of one workload; `before` lays out what stands there already."""
    async with ground.place() as place, await Journal.of(place.settings) as journal:
        await before(place)
        await submit(ground, place, workload, wanted.jobs)
        workers = await start(place, workload, wanted.workers)
        await until(ground, place, "waiting for the first", journal.count, 1)
        if wanted.workers > 1:
            owners = counting(place.connection, OWNERS)
            await until(ground, place, "waiting for all workers", owners, wanted.workers)
        meter, since = Meter(place.machine.beside(worker=workers)), time.time()
        already = await journal.count()
        async with profiled(workers[0], wanted.profile):
            await worked(ground, place, journal, wanted.jobs)
        taken = meter.read()
        await assert_worked(place, wanted.jobs, effects=workload.effects)
        counted, lasted = wanted.jobs - already, await journal.last_append() - since
        if wanted.workers == 1:
            counted, lasted = wanted.jobs, await journal.lasted()
        figures = {RATE: counted / lasted}
        return Round.of(wanted.jobs, figures, taken, wanted.jobs - already)


async def start(place: Place, workload: Workload, workers: int) -> list[int]:
    """Start worker processes of a workload's application; their ids."""
    return [
        (await place.children.start(f"worker {number + 1}", "worker", workload.application)).pid
        for number in range(workers)
    ]


async def worked(ground: Ground, place: Place, journal: Journal, jobs: int) -> None:
    """Wait until so many outcomes stand in the journal and every record is done."""
    await until(ground, place, "working", journal.count, jobs)
    # Copies are counted above; the positions know better, but are written four times a second.
    await until(ground, place, "working", counting(place.connection, DONE), jobs)


async def submit(ground: Ground, place: Place, workload: Workload, jobs: int) -> None:
    """Submit a workload's jobs."""
    ground.show.step("submitting", 0, jobs)
    async with connected(place.settings) as client:
        await client.submit(submissions(workload.type, jobs))
