"""Who did what, when and why, as rows of `jobs.operation`?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from processor.adapters.postgres.waiting_rows import instant
from processor.domain.changes import Change
from processor.domain.ids import JobId
from processor.domain.instants import microseconds
from processor.ports.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from processor.adapters.postgres.pool import Pool
    from processor.ports.operations import AuditQuery, Death, Edit, Note

    Connection = asyncpg.Connection[asyncpg.Record]

_COLUMNS: Final = (
    "kind, job, generation, actor, reason, at, number, subject, plan, payload, changes"
)
_FIRST: Final = f"""
INSERT INTO jobs.operation (kind, job, generation, actor, reason, plan, payload, changes)
SELECT $1, job, generation, $4, $5, $6, $7, $8
FROM unnest($2::uuid[], $3::smallint[]) AS death (job, generation) ORDER BY job, generation
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""  # noqa: S608 - names of columns
_OF: Final = f"""
SELECT {_COLUMNS} FROM jobs.operation
JOIN unnest($2::uuid[], $3::smallint[]) AS death (job, generation) USING (job, generation)
WHERE kind = ANY ($1::text[]) ORDER BY number
"""  # noqa: S608 - names of columns
_NOTE: Final = """
INSERT INTO jobs.operation (kind, actor, reason, subject, job, generation, plan)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_TOLD: Final = f"""
SELECT {_COLUMNS} FROM jobs.operation
WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::boolean IS NULL OR (payload IS NOT NULL) = $4)
    AND ($5::text IS NULL OR actor = $5) AND ($6::uuid IS NULL OR job = $6)
    AND ($7::boolean OR plan IS NULL OR kind NOT IN ('replay', 'discard'))
    AND ($8::bigint IS NULL OR number < $8)
ORDER BY number DESC LIMIT $9
"""  # noqa: S608 - names of columns
_ONLY: Final = (OperationKind.REPLAY, OperationKind.DISCARD)
"""Of which there is a first."""


class PostgresOperations:
    """`Operations` in the ledger's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def first(
        self,
        kind: OperationKind,
        deaths: Sequence[Death],
        actor: str,
        because: str,
        *,
        plan: int | None = None,
        edit: Edit | None = None,
    ) -> list[Operation]:
        """Write each down, or read in a new statement who did so before."""
        keys = _columns(deaths)
        edited = (None, None) if edit is None else (edit.payload, _written(edit.changes))
        async with self._pool.connection() as connection:
            mine = await connection.fetch(_FIRST, kind, *keys, actor, because, plan, *edited)
            found = {_death(row): replace(_operation(row), ours=True) for row in mine}
            if len(found) < len(deaths):
                rows = await connection.fetch(_OF, [kind], *keys)
                found = {_death(row): _operation(row) for row in rows} | found
        return [found[job, generation] for job, generation in deaths]

    async def of(self, deaths: Sequence[Death]) -> list[Operation]:
        """See `Operations`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_OF, list(_ONLY), *_columns(deaths))
        return [_operation(row) for row in rows]

    async def note(self, note: Note) -> None:
        """See `Operations`."""
        async with self._pool.connection() as connection:
            await write_note(connection, note)

    async def told(self, query: AuditQuery) -> list[Operation]:
        """See `Operations`."""
        kind, edited = query.kind, None
        if kind in (OperationKind.EDIT, OperationKind.REPLAY):
            kind, edited = OperationKind.REPLAY, kind is OperationKind.EDIT
        async with self._pool.connection() as connection:
            rows = await connection.fetch(
                _TOLD,
                instant(query.since),
                instant(query.until),
                kind,
                edited,
                query.actor,
                query.job,
                query.singly,
                query.before,
                query.limit,
            )
        return [_operation(row, told=True) for row in rows]


async def write_note(connection: Connection, note: Note) -> None:
    """Write an operation down, also within a transaction that does what it tells."""
    await connection.execute(
        _NOTE,
        note.kind,
        note.actor,
        note.reason,
        note.subject,
        note.job,
        note.generation,
        note.plan,
    )


def _columns(deaths: Sequence[Death]) -> tuple[list[JobId], list[int]]:
    return [job for job, _ in deaths], [generation for _, generation in deaths]


def _death(row: asyncpg.Record) -> tuple[Any, int]:
    return JobId(row["job"]), row["generation"]


def _operation(row: asyncpg.Record, *, told: bool = False) -> Operation:
    kind = OperationKind(row["kind"])
    return Operation(
        kind=OperationKind.EDIT if told and row["payload"] is not None else kind,
        job=None if row["job"] is None else JobId(row["job"]),
        generation=row["generation"],
        actor=row["actor"],
        reason=row["reason"],
        at=microseconds(row["at"]),
        number=row["number"],
        subject=row["subject"],
        plan=row["plan"],
        payload=row["payload"],
        changes=tuple(Change(*one) for one in json.loads(row["changes"] or "[]")),
    )


def _written(changes: Sequence[Change]) -> str:
    return json.dumps([[one.path, one.before, one.after] for one in changes])
