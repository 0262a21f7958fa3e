"""How do plans stand in PostgreSQL, and how is one made, stopped and resumed?"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from processor.adapters.postgres.dead_letters import choosing, filters_of
from processor.adapters.postgres.operations import write_note
from processor.domain.instants import microseconds
from processor.domain.priority import Priority
from processor.domain.selection import Selection
from processor.ports.operations import Note, OperationKind
from processor.ports.plans import CANARY, Draft, Plan, PlanState

if TYPE_CHECKING:
    import asyncpg

    from processor.adapters.postgres.pool import Pool

_INSERT: Final = """
INSERT INTO jobs.plan (kind, selection, actor, reason, priority, rate, canary, stop_above,
    canary_upto)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7) RETURNING id
"""
_CHOOSE: Final = """
INSERT INTO jobs.plan_letter (plan, turn, letter, job, died)
SELECT $9, row_number() OVER (
        ORDER BY lane NULLS FIRST, at_offset NULLS FIRST, died_at, id
    ), id, job, generation
{chosen}
"""
_COUNT: Final = "UPDATE jobs.plan SET letters = $2 WHERE id = $1"
_PLAN: Final = """
SELECT p.*, CASE WHEN runner_until > statement_timestamp() THEN runner_name END AS runs,
    (SELECT count(*) FROM jobs.plan_letter l WHERE l.plan = p.id AND started IS NOT NULL) AS done,
    (SELECT count(*) FROM jobs.plan_letter l WHERE l.plan = p.id AND refused IS NOT NULL) AS refused
FROM jobs.plan p
"""
_OF: Final = f"{_PLAN} WHERE id = $1"
_RECENT: Final = f"{_PLAN} ORDER BY id DESC LIMIT $1"
_STOP: Final = """
UPDATE jobs.plan SET state = 'stopped', ended_at = statement_timestamp(), ended_by = $2,
    ended_why = $3, runner = NULL, runner_name = NULL, runner_until = NULL
WHERE id = $1 AND state = 'running' RETURNING id
"""
_RESUME: Final = """
UPDATE jobs.plan SET state = 'running', ended_at = NULL, ended_by = NULL, ended_why = NULL,
    canary_upto = CASE WHEN ended_by = $2 THEN canary_upto + canary ELSE canary_upto END
WHERE id = $1 AND state = 'stopped' RETURNING id
"""


class PostgresPlans:
    """`Plans` in the database that holds the dead letters."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def make(self, draft: Draft, expected: int | None = None) -> Plan | int:
        """See `Plans`."""
        async with self._pool.connection() as connection:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            try:
                plan = await connection.fetchval(_INSERT, *_columns(draft))
                statement = choosing(_CHOOSE, draft.selection)
                tag = await connection.execute(statement, *filters_of(draft.selection), plan)
                letters = int(tag.rpartition(" ")[2])
                if letters != (letters if expected is None else expected) or letters == 0:
                    await transaction.rollback()
                    return letters
                await connection.execute(_COUNT, plan, letters)
                await write_note(connection, note_of(draft, plan, letters))
                row = await connection.fetchrow(_OF, plan)
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()
        assert row is not None  # noqa: S101 - it was just inserted
        return _plan(row)

    async def of(self, plan: int) -> Plan | None:
        """See `Plans`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_OF, plan)
        return None if row is None else _plan(row)

    async def recent(self, limit: int) -> list[Plan]:
        """See `Plans`."""
        async with self._pool.connection() as connection:
            return [_plan(row) for row in await connection.fetch(_RECENT, limit)]

    async def stop(self, plan: int, by: str, because: str) -> bool:
        """See `Plans`."""
        note = Note(OperationKind.STOP, by, because, f"plan {plan}", plan=plan)
        return await self._alter(note, _STOP, plan, by, because)

    async def resume(self, plan: int, by: str, because: str) -> bool:
        """See `Plans`."""
        note = Note(OperationKind.RESUME, by, because, f"plan {plan}", plan=plan)
        return await self._alter(note, _RESUME, plan, CANARY)

    async def _alter(self, note: Note, statement: str, *arguments: object) -> bool:
        async with self._pool.connection() as connection, connection.transaction():
            altered = await connection.fetchval(statement, *arguments) is not None
            if altered:
                await write_note(connection, note)
        return altered


def note_of(draft: Draft, plan: int, letters: int) -> Note:
    """What the audit tells of a plan that was made."""
    subject = f"plan {plan}: {draft.kind} {letters:,} dead letters, {draft.selection.words()}"
    return Note(OperationKind.PLAN, draft.by, draft.because, subject, plan=plan)


def _columns(draft: Draft) -> tuple[Any, ...]:
    selection = replace(draft.selection, ids=())
    kept = asdict(selection) | {"ids": [str(one) for one in draft.selection.ids]}
    return (
        draft.kind,
        json.dumps(kept),
        draft.by,
        draft.because,
        draft.priority,
        draft.rate,
        draft.canary,
        draft.stop_above,
    )


def _plan(row: asyncpg.Record) -> Plan:
    kept = json.loads(row["selection"])
    draft = Draft(
        OperationKind(row["kind"]),
        Selection(**kept | {"ids": tuple(map(UUID, kept["ids"]))}),
        row["actor"],
        row["reason"],
        None if row["priority"] is None else Priority(row["priority"]),
        row["rate"],
        row["canary"],
        row["stop_above"],
    )
    return Plan(
        id=row["id"],
        draft=draft,
        at=microseconds(row["at"]),
        letters=row["letters"],
        state=PlanState(row["state"]),
        done=row["done"],
        refused=row["refused"],
        canary_upto=row["canary_upto"],
        runner=row["runs"],
        ended_by=row["ended_by"],
        ended_because=row["ended_why"],
        ended_at=None if row["ended_at"] is None else microseconds(row["ended_at"]),
    )
