"""How far is the run, and what has it left behind?

Asked over one connection of its own, and so that looking does not slow down what is looked at:
how far the positions are is a sum over a dozen rows; how many jobs are settled is counted in the
pages that the ledger has grown by, since it only ever grows at its end. A row that comes late to a
page counted before is missed there, and found again by the positions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from processor.demo import tables
from processor.demo.expectation import Found
from processor.demo.showing import Standing
from processor.domain.priority import LANES
from processor.ports.ledger import Ending

if TYPE_CHECKING:
    import asyncpg

# The namespace is the run's own: its positions began at 0.
STANDING: Final = """
SELECT sum(critical)::bigint, sum(high)::bigint, sum(normal)::bigint, sum(low)::bigint,
    (SELECT count(*) FROM jobs.dead_letter WHERE closed IS NULL),
    (SELECT sum(next)::bigint FROM jobs.checkpoint
        WHERE projection = 'history' AND topic = $1)
FROM jobs.ownership
"""

SETTLED: Final = """
SELECT lane, ctid < $2 AS counted, count(*) FROM jobs.ledger WHERE ctid >= $1 GROUP BY 1, 2
"""
PAGES: Final = """
SELECT pg_relation_size('jobs.ledger') / current_setting('block_size')::bigint
"""
FRESH_PAGES: Final = 64
"""So many pages at the ledger's end are counted again each time: they are still being filled."""

HISTORIES: Final = "SELECT count(DISTINCT job) FROM jobs.history WHERE ended_at IS NOT NULL"
ENDS: Final = "SELECT outcome, count(*) FROM jobs.ledger GROUP BY outcome"
DEAD: Final = "SELECT job FROM jobs.dead_letter WHERE closed IS NULL"
FAILED: Final = "SELECT count(*) FROM jobs.ledger WHERE outcome = 'f'"
WORKED: Final = """
SELECT extract(epoch FROM max(ended_at) - min(ended_at))::float8 FROM jobs.ledger
"""

NAMES: Final = {
    Ending.COMPLETE: "complete",
    Ending.FAILED: "failed",
    Ending.CANCELLED: "cancelled",
    Ending.DISCARDED: "discarded",
}


class Watch:
    """Reads the tables of the run."""

    def __init__(self, connection: asyncpg.Connection[Any], journal: str) -> None:
        self._connection = connection
        self._journal = journal
        self._counted = Counter[int]()
        self._page = 0
        """Up to here the ledger's pages are counted."""

    async def standing(self, seconds: float) -> Standing:
        """How far the run is, `seconds` after the first submission."""
        found = await self._connection.fetchrow(STANDING, self._journal)
        assert found is not None  # noqa: S101 - an aggregate always has its row
        *lanes, dead_letters, projected = (value or 0 for value in found)
        done = dict(zip(LANES, lanes, strict=True))
        counted = await self._settled()
        settled = {lane: max(done[lane], counted[lane]) for lane in LANES}
        return Standing(seconds, done, settled, dead_letters, projected)

    async def _settled(self) -> Counter[int]:
        pages: int = await self._connection.fetchval(PAGES)
        full = max(self._page, pages - FRESH_PAGES)
        settled = Counter[int]()
        for lane, counted, jobs in await self._connection.fetch(
            SETTLED, (self._page, 0), (full, 0)
        ):
            (self._counted if counted else settled)[lane] += jobs
        self._page = full
        return self._counted + settled

    async def histories(self) -> int:
        """How many jobs' histories hold their end; counts them all."""
        count: int = await self._connection.fetchval(HISTORIES)
        return count

    async def failed(self) -> int:
        """How many jobs have failed; counts them all."""
        count: int = await self._connection.fetchval(FAILED)
        return count

    async def worked(self) -> float:
        """Seconds from the first end to the last, by the database's clock."""
        seconds: float | None = await self._connection.fetchval(WORKED)
        return seconds or 0.0

    async def found(self) -> Found:
        """All that is to be compared."""
        rows, jobs = await tables.flights(self._connection)
        ends = await self._connection.fetch(ENDS)
        dead = await self._connection.fetch(DEAD)
        return Found(
            aircraft=await tables.aircraft(self._connection),
            rows=rows,
            jobs=jobs,
            dead={job for (job,) in dead},
            ends={NAMES[_ending(outcome)]: count for outcome, count in ends},
            histories=await self.histories(),
        )


def _ending(letter: str | bytes) -> Ending:
    # The driver gives a "char" as bytes.
    return Ending(letter.decode() if isinstance(letter, bytes) else letter)
