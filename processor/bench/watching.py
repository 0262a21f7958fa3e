"""How far is a round, and does it still move?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from processor.domain.errors import ProcessorError

if TYPE_CHECKING:
    import asyncpg

    from processor.bench.ground import Ground, Place

LOOK_SECONDS: Final = 0.05
STALL_SECONDS: Final = 60.0

DONE: Final = "SELECT sum(critical + high + normal + low)::bigint FROM jobs.ownership"
PROJECTED: Final = "SELECT sum(next)::bigint FROM jobs.checkpoint WHERE projection = 'history'"
OWNERS: Final = "SELECT count(DISTINCT worker) FROM jobs.ownership WHERE NOT released"
OWNED: Final = "SELECT count(*) FROM jobs.ownership WHERE NOT released"
PROJECTING: Final = "SELECT count(*) FROM jobs.checkpoint WHERE projection = 'history'"
HISTORIES: Final = "SELECT count(DISTINCT job) FROM jobs.history WHERE ended_at IS NOT NULL"
COMPLETE: Final = "SELECT count(*) FROM jobs.ledger WHERE outcome = 'c'"
EFFECTS: Final = "SELECT count(*), count(DISTINCT job) FROM bench.effect"

Look = Callable[[], Awaitable[int]]


async def until(
    ground: Ground,
    place: Place,
    doing: str,
    look: Look,
    wanted: int,
    *,
    seconds: float = LOOK_SECONDS,
) -> int:
    """Look until so much is there; what is there then.

    Raises `ProcessorError` when a process has ended or nothing moves any more.
    """
    last, moved = -1, time.monotonic()
    while (found := await look()) < wanted:
        await place.children.check()
        ground.show.step(doing, max(0, found), wanted)
        if found != last:
            last, moved = found, time.monotonic()
        if time.monotonic() - moved > STALL_SECONDS:
            raise ProcessorError(
                f"nothing has moved for {STALL_SECONDS:g} s while {doing}: {found:,} of {wanted:,}"
            )
        await asyncio.sleep(seconds)
    return found


def counting(connection: asyncpg.Connection[Any], statement: str) -> Look:
    """Looks by a statement that counts."""

    async def look() -> int:
        return await connection.fetchval(statement) or 0

    return look


async def assert_worked(place: Place, jobs: int, *, effects: bool) -> None:
    """Assert that every job is complete and has had its effect once; raises `ProcessorError`."""
    complete = await place.connection.fetchval(COMPLETE)
    if complete != jobs:
        raise ProcessorError(f"{complete:,} jobs are complete, not {jobs:,}: nothing was measured")
    if effects:
        await assert_effects(place, jobs)


async def assert_effects(place: Place, jobs: int) -> None:
    """Assert that every job has had its effect once; raises `ProcessorError`."""
    found = await place.connection.fetchrow(EFFECTS)
    assert found is not None  # noqa: S101 - an aggregate always has its row
    rows, distinct = found
    if not rows == distinct == jobs:
        raise ProcessorError(f"{rows:,} effects of {distinct:,} jobs, not of {jobs:,}")
