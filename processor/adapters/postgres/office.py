"""Which process holds an office, by the database?

A session's advisory lock on a connection of its own: it goes with the process, and with the
connection, so a holder that is cut off loses it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from processor.adapters.postgres.faults import DRIVER_ERRORS, fault_of
from processor.domain.priority import Priority
from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from processor.adapters.postgres.pool import Link, Pool

_TAKE: Final = "SELECT pg_try_advisory_lock($1)"
_STANDS: Final = "SELECT true"


class PostgresOffice:
    """Implements `processor.ports.forgetting.Office`; holds one of the pool's connections.

    The office is given up when the pool is closed.
    """

    def __init__(self, pool: Pool, name: str) -> None:
        self._pool = pool
        digest = blake2b(f"jobs.office.{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, signed=True)
        self._link: Link | None = None
        self._held = False

    async def held(self) -> bool:
        """See `processor.ports.forgetting.Office`."""
        if self._link is None:
            self._link = await self._pool.take(Priority.CRITICAL)
        try:
            if self._held:
                return bool(await self._ask(_STANDS))
            self._held = bool(await self._ask(_TAKE, self._key))
        except DRIVER_ERRORS as error:
            self._drop()
            raise fault_of(error) or Fault(f"the database failed: {error}") from error
        except BaseException:
            self._drop()
            raise
        if not self._held:
            self.leave()
        return self._held

    def leave(self) -> None:
        """See `processor.ports.forgetting.Office`."""
        if self._link is not None:
            # In doubt while the lock is held: it ends with the session.
            self._pool.give_back(self._link, doubtful=self._held)
        self._link, self._held = None, False

    async def _ask(self, statement: str, *arguments: int) -> Any:  # noqa: ANN401 - any answer
        assert self._link is not None  # noqa: S101 - taken above
        return await self._link.raw.fetchval(statement, *arguments, timeout=self._pool.patience)

    def _drop(self) -> None:
        self._held = True
        self.leave()
