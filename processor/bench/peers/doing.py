"""How is a peer measured? As we are, as far as it can do the same.

A queue of its own tables is drained by worker processes that end when it is empty: measured from
the first job taken to the last completion, by its own rows. Its tables are analysed before.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from processor.bench.application import CLOCK, NOTHING, RAW
from processor.bench.draining import RATE
from processor.bench.flooding import EACH_SECOND as CRITICAL_EACH_SECOND
from processor.bench.flooding import beside
from processor.bench.latency import EACH_SECOND, UNCOUNTED, evenly, spread
from processor.bench.metering import Meter, until_ended
from processor.bench.question import Round
from processor.bench.watching import assert_effects, until
from processor.domain.errors import ProcessorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from processor.bench.ground import Ground, Place
    from processor.bench.peers.peer import Known, Peer
    from processor.bench.question import Question, Wanted
    from processor.bench.work import Workload
    from processor.staging.children import Child

ASKED: Final = ("W1", "W2.raw", "W3", "W4", "W5")
ALONE_SECONDS, MIXED_SECONDS = 2.0, 10.0
"""How long the flood is worked alone, before and after, and how long beside critical jobs."""


def questions(known: Known, ours: Sequence[Question]) -> dict[str, Question]:
    """Which of our questions a peer can be asked, as it is asked them, by name."""
    asks = {
        "W1": partial(drain, known=known, workload=NOTHING),
        "W2.raw": partial(drain, known=known, workload=RAW),
        "W3": partial(wait, known=known),
        "W4": partial(flood, known=known),
        "W5": partial(submit_many, known=known),
    }
    return {
        # The flood has to last, so few of it warm nothing up.
        one.name: replace(
            one,
            ask=asks[one.name],
            warm=0 if one.name == "W4" else jobs_of(one.name, one.warm // 5, known),
        )
        for one in ours
        if one.name in asks
    }


def jobs_of(name: str, jobs: int, known: Known) -> int:
    """How many jobs of a question a peer is asked where we are asked so many."""
    return jobs if name == "W3" else max(1, round(jobs * known.part))


async def drain(ground: Ground, wanted: Wanted, known: Known, workload: Workload) -> Round:
    """W1 and W2."""
    async with _prepared(ground, known) as (place, peer, crew):
        ground.show.step(f"submitting to {known.name}", 0, wanted.jobs)
        await peer.submit(workload, wanted.jobs)
        await peer.analyze()
        workers = [await crew.start("drain", workload) for _ in range(wanted.workers)]
        await until(ground, place, "waiting for the first", peer.begun, 1)
        meter = Meter(place.machine.beside(worker=[one.pid for one in workers]))
        ground.show.step(f"{known.name} is working")
        taken = await until_ended(workers, meter)
        if workload.effects:
            await assert_effects(place, wanted.jobs)
        return Round.of(wanted.jobs, {RATE: wanted.jobs / await peer.lasted()}, taken, wanted.jobs)


async def wait(ground: Ground, wanted: Wanted, known: Known) -> Round:
    """W3."""
    async with _prepared(ground, known) as (place, peer, crew):
        worker = await crew.start("serve", CLOCK)
        await peer.submit_one(CLOCK, 0, urgent=False)
        await until(ground, place, "waiting for the worker", _timed(peer), 1)
        meter = Meter(place.machine.beside(worker=[worker.pid]))
        ground.show.step(f"submitting {EACH_SECOND} a second to {known.name}", 0, wanted.jobs)
        await evenly(
            EACH_SECOND,
            lambda number: number < wanted.jobs,
            lambda number: peer.submit_one(CLOCK, number, urgent=False),
        )
        taken = meter.read()
        await until(ground, place, "waiting for the last", _timed(peer), 1 + wanted.jobs)
        await worker.stop()
        waits = await asyncio.to_thread(crew.waits)
        uncounted = 1 + min(int(EACH_SECOND * UNCOUNTED), wanted.jobs // 2)
        return Round.of(wanted.jobs, spread(waits[uncounted:]), taken, wanted.jobs)


async def flood(ground: Ground, wanted: Wanted, known: Known) -> Round:
    """W4; how long each part takes is fixed, since to count what is left would cost too much."""
    async with _prepared(ground, known) as (place, peer, crew):
        ground.show.step(f"submitting to {known.name}", 0, wanted.jobs)
        await peer.submit(NOTHING, wanted.jobs)
        await peer.analyze()
        worker = await crew.start("serve", CLOCK)
        await until(ground, place, "waiting for the first", peer.begun, 1)
        await asyncio.sleep(ALONE_SECONDS / 2)
        meter, times = Meter(place.machine.beside(worker=[worker.pid])), [time.time()]
        ground.show.step(f"{known.name} is working")
        await asyncio.sleep(ALONE_SECONDS)
        times.append(time.time())
        critical = await evenly(
            CRITICAL_EACH_SECOND,
            lambda _: time.time() < times[1] + MIXED_SECONDS,
            lambda number: peer.submit_one(CLOCK, number, urgent=True),
        )
        times.append(time.time())
        await asyncio.sleep(ALONE_SECONDS)
        times.append(time.time())
        taken = meter.read()
        await until(ground, place, "waiting for the last", _timed(peer), critical)
        await worker.stop()
        parts = [await peer.ended(NOTHING, *both) for both in pairwise(times)]
        if not await peer.ended(NOTHING, times[3], time.time()):
            raise ProcessorError(f"{known.name} had worked the flood too soon: give more --jobs")
        waits = await asyncio.to_thread(crew.waits)
        rates = (parts[1] / (times[2] - times[1]), (parts[0] + parts[2]) / (2 * ALONE_SECONDS))
        return Round.of(wanted.jobs, {**spread(waits), **beside(*rates)}, taken, sum(parts))


async def submit_many(ground: Ground, wanted: Wanted, known: Known) -> Round:
    """W5."""
    async with _prepared(ground, known) as (place, peer, _):
        ground.show.step(f"submitting to {known.name}", 0, wanted.jobs)
        meter = Meter(place.machine.beside(producer=[os.getpid()]))
        await peer.submit(NOTHING, wanted.jobs)
        taken = meter.read()
        return Round.of(wanted.jobs, {RATE: wanted.jobs / taken.seconds}, taken, wanted.jobs)


class _Crew:
    """Its worker processes."""

    def __init__(self, place: Place, file: Path) -> None:
        self._children = place.children
        self._file = file
        self._started = 0

    async def start(self, manner: str, workload: Workload) -> Child:
        """One more, that drains or serves."""
        self._started += 1
        name = f"peer {self._started}"
        return await self._children.start(name, manner, workload.type, str(self._file))

    def waits(self) -> list[float]:
        """Milliseconds that each of CLOCK's jobs waited, once the worker has ended."""
        return [int(line) / 1e6 for line in self._file.read_text().split()]


@asynccontextmanager
async def _prepared(ground: Ground, known: Known) -> AsyncIterator[tuple[Place, Peer, _Crew]]:
    async with ground.place(known.module) as place, known.connected(place.settings) as peer:
        await peer.prepare()
        yield place, peer, _Crew(place, ground.folder / "waits")


def _timed(peer: Peer) -> Callable[[], Awaitable[int]]:
    """Counts the jobs of CLOCK that have ended."""

    async def look() -> int:
        return await peer.ended(CLOCK, 0.0, time.time())

    return look
