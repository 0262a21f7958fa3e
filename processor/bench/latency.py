"""How long is it from the call of `submit` to the first line of the handler, on an idle worker?

The payload carries when the call began; the handler's first line takes the same clock and returns
the difference, so that it is read from the ledger.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from processor import Submission
from processor.adapters.avro import AvroCodec
from processor.bench.application import CLOCK
from processor.bench.draining import start, worked
from processor.bench.journal import Journal
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.watching import OWNED, counting, until
from processor.bench.work import entity, payload
from processor.bootstrap.producing import connected
from processor.domain.events import Completed
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from processor import Client
    from processor.bench.ground import Ground, Place
    from processor.bench.question import Wanted

EACH_SECOND: Final = 50
UNCOUNTED: Final = 1.0
"""Seconds of submissions at the beginning that are not counted."""
BODIES: Final = """
SELECT body FROM jobs.ledger
WHERE lane = ANY($1::smallint[]) AND outcome = 'c' ORDER BY ended_at
"""


async def wait(ground: Ground, wanted: Wanted) -> Round:
    """One round."""
    async with (
        ground.place() as place,
        await Journal.of(place.settings) as journal,
        connected(place.settings) as client,
    ):
        workers = await start(place, CLOCK, wanted.workers)
        owned = counting(place.connection, OWNED)
        partitions = place.settings.partitions
        await until(ground, place, "waiting for the worker", owned, partitions)
        meter = Meter(place.machine.beside(worker=workers))
        ground.show.step(f"submitting {EACH_SECOND} a second", 0, wanted.jobs)
        async with profiled(workers[0], wanted.profile):
            await evenly(
                EACH_SECOND, lambda number: number < wanted.jobs, partial(submit_one, client, LANES)
            )
            taken = meter.read()
        await worked(ground, place, journal, wanted.jobs)
        waits = await waited(place, LANES)
        uncounted = min(int(EACH_SECOND * UNCOUNTED), wanted.jobs // 2)
        return Round.of(wanted.jobs, spread(waits[uncounted:]), taken, wanted.jobs)


async def evenly(
    each_second: float,
    goes_on: Callable[[int], bool],
    submit: Callable[[int], Coroutine[Any, Any, None]],
) -> int:
    """Submit one after the other at an even pace, whatever becomes of the others; how many."""
    began, number = time.perf_counter(), 0
    async with asyncio.TaskGroup() as under_way:
        while goes_on(number):
            under_way.create_task(submit(number))
            number += 1
            due = began + number / each_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return number


async def submit_one(client: Client, lanes: Sequence[Priority], number: int) -> None:
    """Submit one that carries the time, to each lane in turn."""
    lane = lanes[number % len(lanes)]
    sent = payload(number, time.time_ns())
    await client.submit(Submission(CLOCK.type, sent, entity=entity(number), priority=lane))


async def waited(place: Place, lanes: Sequence[Priority]) -> list[float]:
    """Milliseconds that the jobs of these lanes waited, in the order of their ends."""
    codec = await asyncio.to_thread(AvroCodec)
    waits = []
    for (body,) in await place.connection.fetch(BODIES, [int(lane) for lane in lanes]):
        outcome = codec.decode_journal(body)
        if isinstance(outcome, Outcome) and isinstance(outcome.end, Completed):
            waits.append(int(outcome.end.result) / 1e6)
    return waits


def spread(waits: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the longest."""
    parts = quantiles(waits if len(waits) > 1 else [*waits, *waits], n=100, method="inclusive")
    return {"ms p50": parts[49], "ms p99": parts[98], "ms max": max(waits)}
