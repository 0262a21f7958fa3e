"""Who owns a partition and where do its positions stand, as rows of `jobs.ownership`?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg

from processor.adapters.postgres.lineage import WRITTEN
from processor.domain.priority import Priority
from processor.domain.quarantine import Suspect
from processor.ports.ownership import Owner

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool
    from processor.ports.ownership import Move

_COLUMNS: Final = """
partition, token, worker, released, unclean, critical, high, normal, low, epoch, suspect_until
"""
OWNERS: Final = f"""
SELECT {_COLUMNS} FROM jobs.ownership WHERE partition = ANY ($1::smallint[])
"""  # noqa: S608 - names of columns
_TAKE: Final = f"""
SELECT {_COLUMNS} FROM jobs.take_over_v1($1, $2, $3, $4, $5)
"""  # noqa: S608 - names of columns
_SUSPECTS: Final = """
SELECT lane, at_offset, deaths, while_decoding FROM jobs.suspect WHERE partition = $1
ORDER BY lane, at_offset
"""
_ADVANCE: Final = f"""
UPDATE jobs.ownership o
SET critical = u.c1, high = u.h1, normal = u.n1, low = u.l1
FROM unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
    AS u (p, t, c0, h0, n0, l0, c1, h1, n1, l1)
WHERE (o.partition, o.token, o.critical, o.high, o.normal, o.low)
    = (u.p, u.t, u.c0, u.h0, u.n0, u.l0) AND NOT o.released
RETURNING o.partition, {WRITTEN} AS written
"""  # noqa: S608 - a function of the server's
_RELEASE: Final = """
UPDATE jobs.ownership
SET critical = $7, high = $8, normal = $9, low = $10, released = true
WHERE (partition, token, critical, high, normal, low) = ($1, $2, $3, $4, $5, $6) AND NOT released
RETURNING partition
"""


class PostgresOwnership:
    """`Ownership` in the ledger's database, so that both are lost or restored together."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def owners(self, partitions: Collection[int]) -> Mapping[int, Owner]:
        """The rows as they stand."""
        async with self._pool.connection(Priority.HIGH) as connection:
            rows = await connection.fetch(OWNERS, list(partitions))
        return {row["partition"]: owner_of(row) for row in rows}

    async def take(self, seen: Owner, token: UUID, worker: UUID, *, unclean: bool) -> Owner | None:
        """Put a new token where `seen`'s still stands; None where another came first.

        None, too, when writes under the old token go on for longer than the lock's time-out.
        """
        async with self._pool.connection(Priority.HIGH) as connection:
            try:
                row = await connection.fetchrow(
                    _TAKE, seen.partition, seen.token, token, worker, unclean
                )
            except asyncpg.LockNotAvailableError:
                return None
            if row is None:
                return None
            # The token is ours by now: nobody else writes about the partition's suspects.
            suspects = await connection.fetch(_SUSPECTS, seen.partition) if row["unclean"] else []
        return owner_of(row, [Suspect(Priority(lane), *rest) for lane, *rest in suspects])

    async def advance(self, moves: Sequence[Move]) -> set[int]:
        """Write positions, all in one statement; the partitions whose row still was as `before`."""
        if not moves:
            return set()
        ordered = sorted(moves, key=lambda move: move.fence.partition)
        rows = [(*move.fence, *move.before, *move.after) for move in ordered]
        async with self._pool.connection(Priority.CRITICAL) as connection:
            found = await connection.fetch(_ADVANCE, *zip(*rows, strict=True))
            self._pool.lineage.hear(max((row["written"] for row in found), default=0))
        return {row["partition"] for row in found}

    async def release(self, move: Move) -> bool:
        """Write the last positions and let go; False where the partition is no longer ours."""
        async with self._pool.connection(Priority.CRITICAL) as connection:
            row = await connection.fetchrow(_RELEASE, *move.fence, *move.before, *move.after)
        return row is not None


def owner_of(row: asyncpg.Record, suspects: Sequence[Suspect] = ()) -> Owner:
    """An ownership row, as its columns say."""
    until = row["suspect_until"]
    return Owner(
        partition=row["partition"],
        token=row["token"],
        worker=row["worker"],
        released=row["released"],
        unclean=row["unclean"],
        positions=(row["critical"], row["high"], row["normal"], row["low"]),
        epoch=row["epoch"],
        suspect_until=None if until is None else (until[0], until[1], until[2], until[3]),
        suspects=tuple(suspects),
    )
