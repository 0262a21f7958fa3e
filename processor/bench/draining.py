"""How fast does a worker drain what waits?

The jobs are submitted first, then the workers start. Measured from the start of the first job to
the last outcome that the journal acknowledged; with several workers from the moment at which each
owns partitions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from processor.bench.application import APPLICATION
from processor.bench.journal import Journal
from processor.bench.processes import per_thousand
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


async def drain(ground: Ground, wanted: Wanted, workload: Workload) -> Round:
    """One round of one workload."""
    async with ground.place() as place, await Journal.of(place.settings) as journal:
        await submit(ground, place, workload, wanted.jobs)
        workers = [
            await place.children.start(f"worker {number + 1}", "worker", APPLICATION)
            for number in range(wanted.workers)
        ]
        ids = [worker.process.pid for worker in workers]
        family = place.machine.with_children(worker=ids)
        await until(ground, place, "waiting for the first", journal.count, 1)
        if wanted.workers > 1:
            owners = counting(place.connection, OWNERS)
            await until(ground, place, "waiting for all workers", owners, wanted.workers)
        before, since, already = family.spent(), time.time(), await journal.count()
        async with profiled(ids[0], wanted.profile):
            await until(ground, place, "working", journal.count, wanted.jobs)
            done = counting(place.connection, DONE)
            await until(ground, place, "working", done, wanted.jobs)
        spent, memory = family.spent(), family.memory()
        await assert_worked(place, wanted.jobs, effects=workload.effects)
        over = await journal.last_append()
        if wanted.workers == 1:
            since, counted = await journal.first_start(), wanted.jobs
        else:
            counted = wanted.jobs - already
        return Round(
            wanted.jobs,
            {RATE: counted / (over - since)},
            per_thousand(before, spent, wanted.jobs - already),
            memory,
        )


async def submit(ground: Ground, place: Place, workload: Workload, jobs: int) -> None:
    """Submit a workload's jobs."""
    ground.show.step("submitting", 0, jobs)
    async with connected(place.settings) as client:
        await client.submit(submissions(workload.type, jobs))
