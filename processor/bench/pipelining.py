"""How fast is all of it together, until the history is complete?

The projector starts first and is held still until the first outcome is there: so it has both
records of every job before it, the submission and the outcome, as it has for any length of time.
Measured from the start of the first job to the checkpoints that have passed the last record.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from processor.bench.draining import RATE, start, submit
from processor.bench.journal import Journal
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.watching import (
    HISTORIES,
    PROJECTED,
    PROJECTING,
    assert_worked,
    counting,
    until,
)
from processor.domain.errors import ProcessorError

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.question import Wanted
    from processor.bench.work import Workload

CLOSELY: Final = 0.02


async def pipeline(ground: Ground, wanted: Wanted, workload: Workload) -> Round:
    """One round of one workload."""
    async with ground.place() as place, await Journal.of(place.settings) as journal:
        projector = await place.children.start("projector", "projector")
        begun = counting(place.connection, PROJECTING)
        await until(ground, place, "waiting for the projector", begun, 1)
        projector.freeze()
        await submit(ground, place, workload, wanted.jobs)
        workers = await start(place, workload, wanted.workers)
        await until(ground, place, "waiting for the first", journal.count, 1, seconds=CLOSELY)
        projector.wake()
        meter = Meter(place.machine.beside(worker=workers, projector=[projector.pid]))
        already = await journal.count()
        async with profiled(workers[0], wanted.profile):
            await until(ground, place, "working", journal.count, wanted.jobs, seconds=CLOSELY)
            look = counting(place.connection, PROJECTED)
            records = wanted.jobs + await journal.count()
            await until(ground, place, "projecting", look, records, seconds=CLOSELY)
            over, taken = time.time(), meter.read()
        await assert_worked(place, wanted.jobs, effects=workload.effects)
        histories = await place.connection.fetchval(HISTORIES)
        if histories != wanted.jobs:
            raise ProcessorError(f"{histories:,} histories are complete, not {wanted.jobs:,}")
        figures = {RATE: wanted.jobs / (over - await journal.first_start())}
        return Round.of(wanted.jobs, figures, taken, wanted.jobs - already)
