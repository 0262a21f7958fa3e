"""Who was the first to replay or to discard a dead letter, as rows of `jobs.operation`?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.projection import microseconds
from processor.ports.operations import Operation, OperationKind

if TYPE_CHECKING:
    from processor.adapters.postgres.pool import Pool
    from processor.domain.ids import JobId

_INSERT: Final = """
INSERT INTO jobs.operation (kind, job, generation, actor, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING actor, reason, at
"""
_FIRST: Final = """
SELECT actor, reason, at FROM jobs.operation WHERE (kind, job, generation) = ($1, $2, $3)
"""
_OF: Final = """
SELECT kind, actor, reason, at FROM jobs.operation
WHERE kind IN ('replay', 'discard') AND (job, generation) = ($1, $2) ORDER BY at
"""


class PostgresOperations:
    """`Operations` in the ledger's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def first(
        self, kind: OperationKind, job: JobId, generation: int, actor: str, because: str
    ) -> Operation:
        """Write it down, or read in a new statement who did so before."""
        key = (OperationKind(kind), job, generation)
        async with self._pool.connection() as connection:
            row = mine = await connection.fetchrow(_INSERT, *key, actor, because)
            if mine is None:
                row = await connection.fetchrow(_FIRST, *key)
        assert row is not None  # noqa: S101 - rows of this table are never deleted
        at = microseconds(row["at"])
        return Operation(*key, row["actor"], row["reason"], at, ours=mine is not None)

    async def of(self, job: JobId, generation: int) -> list[Operation]:
        """See `Operations`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_OF, job, generation)
        return [
            Operation(
                OperationKind(kind), job, generation, actor, reason, microseconds(at), ours=False
            )
            for kind, actor, reason, at in rows
        ]
