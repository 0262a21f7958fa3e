"""How fast does one process submit many at once?

Measured from the call to its return, when the last is acknowledged: making the submissions, their
ids, payloads and records included.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from processor.bench.application import NOTHING
from processor.bench.draining import RATE
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.work import submissions
from processor.bootstrap.producing import connected

if TYPE_CHECKING:
    from processor.bench.ground import Ground
    from processor.bench.question import Wanted


async def submit_many(ground: Ground, wanted: Wanted) -> Round:
    """One round; the producer is this process itself."""
    async with ground.place() as place, connected(place.settings) as client:
        ground.show.step("submitting", 0, wanted.jobs)
        async with profiled(os.getpid(), wanted.profile):
            meter = Meter(place.machine.beside(producer=[os.getpid()]))
            await client.submit(submissions(NOTHING.type, wanted.jobs))
            taken = meter.read()
        return Round.of(wanted.jobs, {RATE: wanted.jobs / taken.seconds}, taken, wanted.jobs)
