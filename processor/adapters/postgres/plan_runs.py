"""What does whoever runs a plan ask of PostgreSQL?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.dead_letters import COLUMNS, letter_row
from processor.ports.plans import Ends, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool
    from processor.ports.plans import Done

_LEASE: Final = """
UPDATE jobs.plan SET runner = $2, runner_name = $3, runner_until = statement_timestamp() + $4
WHERE id = $1 AND state = 'running'
    AND (runner = $2 OR runner_until IS NULL OR runner_until < statement_timestamp())
RETURNING id
"""
_LET_GO: Final = """
UPDATE jobs.plan SET runner = NULL, runner_name = NULL, runner_until = NULL
WHERE id = $1 AND runner = $2
"""
_FREE: Final = """
SELECT id FROM jobs.plan
WHERE state = 'running' AND (runner_until IS NULL OR runner_until < statement_timestamp())
ORDER BY id
"""
_NEXT: Final = f"""
SELECT turn, d.* FROM (
    SELECT turn, letter FROM jobs.plan_letter
    WHERE plan = $1 AND started IS NULL AND refused IS NULL AND ($3::integer IS NULL OR turn <= $3)
    ORDER BY turn LIMIT $2
) t
LEFT JOIN LATERAL (SELECT {COLUMNS} FROM jobs.dead_letter WHERE id = t.letter) d ON true
ORDER BY turn
"""  # noqa: S608 - names of columns
_MARK: Final = """
UPDATE jobs.plan_letter l SET started = done.started, refused = done.refused,
    at = statement_timestamp()
FROM unnest($2::integer[], $3::smallint[], $4::text[]) AS done (turn, started, refused)
WHERE l.plan = $1 AND l.turn = done.turn AND l.started IS NULL AND l.refused IS NULL
"""
_ENDS: Final = """
SELECT count(*) AS replayed, count(*) FILTER (WHERE ended.outcome IN ('f', 'd')) AS failed,
    count(*) FILTER (WHERE ended.outcome IS NULL) AS waiting
FROM jobs.plan_letter l
LEFT JOIN LATERAL (
    SELECT outcome FROM jobs.ledger e
    WHERE e.job = l.job AND (e.generation >= l.started OR e.outcome NOT IN ('f', 'd'))
    ORDER BY e.generation LIMIT 1
) ended ON true
WHERE l.plan = $1 AND l.turn > $3::integer - $2::integer AND l.turn <= $3 AND l.started IS NOT NULL
"""
_PASS: Final = "UPDATE jobs.plan SET canary_upto = NULL WHERE id = $1"
_FINISH: Final = """
UPDATE jobs.plan SET state = 'complete', ended_at = statement_timestamp()
WHERE id = $1 AND state = 'running' AND NOT EXISTS (
    SELECT FROM jobs.plan_letter WHERE plan = $1 AND started IS NULL AND refused IS NULL
)
"""


class PostgresPlanRuns:
    """`PlanRuns` in the database that holds the dead letters and the ledger."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def lease(self, plan: int, runner: UUID, name: str, seconds: float) -> bool:
        """See `PlanRuns`."""
        until = timedelta(seconds=seconds)
        async with self._pool.connection() as connection:
            return await connection.fetchval(_LEASE, plan, runner, name, until) is not None

    async def let_go(self, plan: int, runner: UUID) -> None:
        """See `PlanRuns`."""
        await self._execute(_LET_GO, plan, runner)

    async def free(self) -> list[int]:
        """See `PlanRuns`."""
        async with self._pool.connection() as connection:
            return [row["id"] for row in await connection.fetch(_FREE)]

    async def next(self, plan: int, limit: int, upto: int | None) -> list[Turn]:
        """See `PlanRuns`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_NEXT, plan, limit, upto)
        return [
            Turn(row["turn"], None if row["id"] is None else letter_row([*row][1:])) for row in rows
        ]

    async def mark(self, plan: int, done: Sequence[Done]) -> None:
        """See `PlanRuns`."""
        if done:
            await self._execute(_MARK, plan, *map(list, zip(*done, strict=True)))

    async def ends(self, plan: int, canary: int, upto: int) -> Ends:
        """See `PlanRuns`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_ENDS, plan, canary, upto)
        assert row is not None  # noqa: S101 - an aggregate has one row
        return Ends(*row)

    async def pass_canary(self, plan: int) -> None:
        """See `PlanRuns`."""
        await self._execute(_PASS, plan)

    async def finish(self, plan: int) -> None:
        """See `PlanRuns`."""
        await self._execute(_FINISH, plan)

    async def _execute(self, statement: str, *arguments: object) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(statement, *arguments)
