"""Which invariants does a run break, now or at its end?

The positions are read first, then the topics up to their ends, then everything else in one
REPEATABLE READ snapshot: whatever the positions say is done must be found in all that was read
after them, also while the work goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from processor.chaos.copying import Bounds, Copying
from processor.chaos.handlers import NEVER_FAILING, SPOILING, WRITING, attempts_of, jobs
from processor.chaos.invariants import Invariant, When, invariants, tables
from processor.domain.priority import LANES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from aiokafka import TopicPartition

    from processor.domain.topics import Topics
    from processor.runtime.cancelling import Cancellation

SHOWN: Final = 20
"""Violations of one invariant that are told; of the others it is said how many there are."""
MOST: Final = 10_000
"""Of one invariant no more are counted."""

POSITIONS: Final = "SELECT partition, critical, high, normal, low FROM jobs.ownership"
POSITION: Final = """
CREATE TEMP TABLE IF NOT EXISTS position
    (lane smallint, partition smallint, next bigint, begins bigint, ends bigint);
TRUNCATE position
"""
ANALYZE: Final = """
ANALYZE jobs.ledger, jobs.history, chaos.effect, chaos.lane_record, chaos.told
"""
# Everything is compared with everything: a plan made for few rows must not meet millions.
COMPARE: Final = """
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB'; SET LOCAL jit = off
"""


class Found(NamedTuple):
    """What one invariant's query came back with."""

    invariant: Invariant
    violations: int
    lines: tuple[str, ...]
    """The first of them."""


async def prepare(
    connection: asyncpg.Connection[Any], *, spoilt: bool = False, besides: Iterable[str] = ()
) -> None:
    """Create the tables of `chaos`, and say what is expected of the handlers' types.

    `spoilt` where workers are frozen or held up: a transaction that stood idle is an attempt.
    `besides` are types of another application that write an effect.
    """
    await connection.execute(tables())
    lines = [
        (
            type_,
            type_ in (*WRITING, *SPOILING),
            type_ in NEVER_FAILING and not spoilt,
            attempts_of(type_),
        )
        for type_ in jobs
    ]
    lines += [(type_, True, False, 1_000) for type_ in besides]
    await connection.copy_records_to_table("type", schema_name="chaos", records=lines)


async def note(
    connection: asyncpg.Connection[Any],
    acked: Iterable[Any] = (),
    answers: Iterable[Cancellation] = (),
) -> None:
    """Write down which jobs were acknowledged to a producer, and what cancellers were answered."""
    await connection.copy_records_to_table(
        "acked", schema_name="chaos", records=[(job,) for job in acked]
    )
    lines = [(one.job, one.generation, one.now.value, one.ours) for one in answers]
    await connection.copy_records_to_table("cancelled", schema_name="chaos", records=lines)


async def look(
    connection: asyncpg.Connection[Any],
    copying: Copying,
    topics: Topics,
    when: When = When.DURING,
    without: Collection[str] = (),
) -> list[Found]:
    """Ask for all that must hold at that time, `without` some by name.

    Afterwards holds also what holds during a run. Raises what the database and the broker raise.
    """
    positions = await connection.fetch(POSITIONS)
    bounds = await copying.copy(connection)
    await connection.execute(POSITION)
    await connection.copy_records_to_table("position", records=_lines(positions, bounds, topics))
    await connection.execute(ANALYZE)
    wanted = [
        one for one in invariants() if one.when in (When.DURING, when) and one.name not in without
    ]
    seen = await _ask(connection, wanted)
    again = [one for one in wanted if one.twice and seen[one.name]]
    if again:
        await copying.copy(connection)
        for name, lines in (await _ask(connection, again)).items():
            seen[name] = [line for line in lines if line in set(seen[name])]
    return [Found(one, len(seen[one.name]), tuple(seen[one.name][:SHOWN])) for one in wanted]


async def _ask(
    connection: asyncpg.Connection[Any], wanted: Iterable[Invariant]
) -> dict[str, list[str]]:
    """What each query comes back with, all in one snapshot."""
    async with _snapshot(connection):
        return {
            one.name: [line for (line,) in await connection.fetch(f"{one.query} LIMIT {MOST}")]
            for one in wanted
        }


@asynccontextmanager
async def _snapshot(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(COMPARE)
        yield


def _lines(
    positions: Iterable[Any], bounds: Mapping[TopicPartition, Bounds], topics: Topics
) -> list[tuple[int, int, int, int, int]]:
    next_ = {(lane, at): lanes[lane] for at, *lanes in positions for lane in LANES}
    number = {topics.lane(lane): lane for lane in LANES}
    return [
        (lane, place.partition, next_.get((lane, place.partition), 0), bound.begin, bound.end)
        for place, bound in bounds.items()
        if (lane := number.get(place.topic)) is not None
    ]


def broken(found: Iterable[Found]) -> list[str]:
    """Every violation that was told, under its invariant's name."""
    return [f"{one.invariant.name}: {line}" for one in found for line in one.lines]
