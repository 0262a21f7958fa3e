"""How fast does the projector alone write the history, and at what cost?

What a worker would have left is appended first, a submission and an outcome for each job; the
projector starts then. Measured from the first checkpoint that is seen to the last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic_core import to_json

from processor.adapters.avro import AvroCodec
from processor.adapters.kafka.log import KafkaLog
from processor.bench.application import NOTHING
from processor.bench.draining import RATE
from processor.bench.metering import Meter
from processor.bench.profiling import profiled
from processor.bench.question import Round
from processor.bench.watching import PROJECTED, counting, until
from processor.bench.work import submissions
from processor.domain.events import Completed, Started
from processor.domain.ids import partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.ports.log import Append, LogFailure
from processor.ports.log import Place as Spot
from processor.runtime.submission import record_of

if TYPE_CHECKING:
    from processor.bench.ground import Ground, Place
    from processor.bench.question import Wanted
    from processor.domain.submission import SubmissionRecord
    from processor.settings import Settings

AT_ONCE: Final = 10_000
EACH: Final = 2
"""Records of a job: its submission and its outcome."""


async def project(ground: Ground, wanted: Wanted) -> Round:
    """One round."""
    async with ground.place() as place:
        await lay_out(ground, place, wanted.jobs)
        projector = (await place.children.start("projector", "projector")).pid
        look = counting(place.connection, PROJECTED)
        already = await until(ground, place, "waiting for the first", look, 1, seconds=0.005)
        meter = Meter(place.machine.beside(projector=[projector]))
        async with profiled(projector, wanted.profile):
            records = EACH * wanted.jobs
            await until(ground, place, "projecting", look, records, seconds=0.01)
            taken = meter.read()
        counted = (records - already) / EACH
        return Round.of(wanted.jobs, {RATE: counted / taken.seconds}, taken, counted)


async def lay_out(ground: Ground, place: Place, jobs: int) -> None:
    """Append what so many jobs leave in the lanes and in the journal."""

    def show(appended: int) -> None:
        ground.show.step("appending", appended, jobs)

    await append(place.settings, jobs, show)


async def append(settings: Settings, jobs: int, show: Callable[[int], None]) -> None:
    """Append the submission and the outcome of so many jobs; `show` is told how many are there."""
    codec = await asyncio.to_thread(AvroCodec)
    appends = _appends(settings, codec, jobs)
    appended = 0
    async with KafkaLog(settings.need_kafka()) as log:
        while batch := list(islice(appends, AT_ONCE)):
            for answer in await log.append(batch):
                if isinstance(answer, LogFailure):
                    raise answer
            appended += len(batch)
            show(appended // EACH)
            await asyncio.sleep(0)


def _appends(settings: Settings, codec: AvroCodec, jobs: int) -> Iterator[Append]:
    worker = str(uuid4())
    offsets: dict[Spot, int] = {}
    for submission in submissions(NOTHING.type, jobs):
        payload = to_json(submission.payload)
        now = time.time_ns() // 1000
        record = record_of(submission, payload, priority=Priority.NORMAL, submitted_at=now)
        partition = partition_of(record.entity, settings.partitions)
        lane = Spot(settings.topics.lane(record.priority), partition)
        offset = offsets[lane] = offsets.get(lane, -1) + 1
        key = record.entity.encode()
        outcome = _outcome(record, worker, partition, offset)
        yield Append(lane, key, codec.encode_submission(record))
        yield Append(Spot(settings.topics.events, partition), key, codec.encode_outcome(outcome))


def _outcome(record: SubmissionRecord, worker: str, partition: int, offset: int) -> Outcome:
    at = record.submitted_at + 10_000
    started = Started(at, 1, 1, worker, "bench", partition, record.priority)
    return Outcome(
        record.job,
        record.generation,
        1,
        record.type,
        record.entity,
        record.tenant,
        record.priority,
        partition,
        offset,
        (started, Completed(at + 1_000, b"null")),
    )
