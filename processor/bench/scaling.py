"""Does a job cost the same however much else there is?

What is there is written by the database server itself before the jobs come, and goes with the
round's database. Each question is asked at two sizes; they are to differ by no more than chance.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from processor.bench.application import RAW
from processor.bench.draining import drain, start
from processor.bench.metering import Meter
from processor.bench.question import Round
from processor.bench.watching import OWNED, counting, until

if TYPE_CHECKING:
    from processor.bench.ground import Ground, Place
    from processor.bench.question import Wanted

AT_ONCE: Final = 100_000
IDLE_SECONDS: Final = 20.0
SETTLING_SECONDS: Final = 3.0
"""In which a worker that owns everything comes to rest."""

_JOB: Final = "('0190' || lpad(to_hex({}), 12, '0') || '700080000000' || '{}000')::uuid"
_OLD: Final = _JOB.format("n", "0")
_LEDGER: Final = f"""
INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, ended_at, body)
SELECT {_OLD}, 1, 'f', n % $3, 2, 0, clock_timestamp(), convert_to(repeat('x', 300), 'UTF8')
FROM generate_series($1::bigint, $2::bigint) n
"""  # noqa: S608 - a column's name
_HISTORY: Final = f"""
INSERT INTO jobs.history (job, generation, timeline, upto, partition, at_offset, at, ended_at, body)
SELECT {_OLD}, 1, outcome, outcome - 2 * (1 - outcome), n % $3, n, now(),
    CASE outcome WHEN 1 THEN now() END, convert_to(repeat('x', 300), 'UTF8')
FROM generate_series($1::bigint, $2::bigint) n, generate_series(0, 1) outcome
"""  # noqa: S608 - the same
_ROOM: Final = f"""
INSERT INTO jobs.waiting (job, generation, partition, entity_key, state, holds, serve, lane, place,
    due_at, since, revision, attempt, runs, faults, token, submission, body)
SELECT {_OLD}, 1, n / 10 % $3, n / 10, CASE n % 10 WHEN 0 THEN 'r' ELSE 'q' END::"char", n % 10 = 0,
    2, 2, n, CASE n % 10 WHEN 0 THEN now() + interval '30 days' END, now(), 1, 1, 1, 0,
    gen_random_uuid(), convert_to(repeat('x', 300), 'UTF8'), NULL
FROM generate_series($1::bigint, $2::bigint) n
"""  # noqa: S608 - the same


async def drain_beside_ended(ground: Ground, wanted: Wanted, ended: int) -> Round:
    """Drain while so many jobs stand in ledger and history."""

    async def before(place: Place) -> None:
        await _fill(ground, place, "ledger", _LEDGER, ended)
        await _fill(ground, place, "history", _HISTORY, ended)

    return await drain(ground, wanted, RAW, before=before)


async def drain_beside_waiting(ground: Ground, wanted: Wanted, waiting: int) -> Round:
    """Drain while so many jobs wait behind retrying heads of other entities."""

    async def before(place: Place) -> None:
        await _fill(ground, place, "waiting", _ROOM, waiting)

    return await drain(ground, wanted, RAW, before=before)


async def idle(ground: Ground, _: Wanted) -> Round:
    """What a worker takes that owns every partition and has nothing to do."""
    async with ground.place() as place:
        workers = await start(place, RAW, 1)
        owned = counting(place.connection, OWNED)
        await until(ground, place, "waiting for the owner", owned, place.settings.partitions)
        await asyncio.sleep(SETTLING_SECONDS)
        meter = Meter(place.machine.beside(worker=workers))
        ground.show.step("resting", 0, 1)
        await asyncio.sleep(IDLE_SECONDS)
        taken = meter.read()
        share = {f"% CPU {name}": spent / taken.seconds * 100 for name, spent in taken.cpu.items()}
        first = "% CPU worker"
        figures = {first: share.pop(first), **share}
        return Round(1, figures, memory=taken.memory, others=taken.others)


async def _fill(ground: Ground, place: Place, table: str, statement: str, rows: int) -> None:
    for first in range(0, rows, AT_ONCE):
        ground.show.step(f"filling {table}", first, rows)
        last = min(first + AT_ONCE, rows) - 1
        await place.connection.execute(statement, first, last, place.settings.partitions)
    await place.connection.execute(f"VACUUM ANALYZE jobs.{table}")
