"""How is a job ended from outside, through PostgreSQL?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.adapters.postgres.ledger import PostgresLedger
from processor.ports.ledger import Ending

if TYPE_CHECKING:
    from processor.adapters.postgres.pool import Pool
    from processor.ports.ledger import Entry, LedgerRow

_CANCEL: Final = "SELECT jobs.cancel_v1($1, $2, $3, $4, $5, $6, $7)"


class PostgresCancelling:
    """`Cancelling` by an insert into the ledger, where the first wins."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ledger = PostgresLedger(pool)

    async def cancel(self, entry: Entry) -> LedgerRow:
        """See `Cancelling`."""
        return await self._end(entry, Ending.CANCELLED)

    async def discard(self, entry: Entry) -> LedgerRow:
        """See `Cancelling`."""
        return await self._end(entry, Ending.DISCARDED)

    async def _end(self, entry: Entry, ending: Ending) -> LedgerRow:
        """Write the end, then read in a new statement which end stands."""
        while True:
            async with self._pool.connection() as connection:
                await connection.execute(
                    _CANCEL,
                    entry.job,
                    entry.generation,
                    entry.partition,
                    entry.lane,
                    entry.offset,
                    entry.body,
                    ending,
                )
            row = await self._ledger.row(entry.job, entry.generation)
            if row is not None:  # else it was pruned in between
                return row
