"""How does a handler get its job's own database transaction?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.ledger import Answer, Entry, Fault


@dataclass(frozen=True, slots=True)
class Claim:
    """Which job a transaction is for, as far as this worker knows."""

    job: JobId
    generation: int
    partition: int
    lane: Priority
    offset: int
    entity_key: int
    revision: int = 0
    """0 for a job that has no row in the waiting room."""


class Share(Protocol):
    """What a handler may have of an open transaction."""

    def connection(self) -> Any:  # noqa: ANN401 - an asyncpg connection, behind a proxy
        """The raw connection; every use after the handler returned raises `TransactionMisused`."""
        ...

    async def session(self) -> Any:  # noqa: ANN401 - an SQLAlchemy AsyncSession
        """A session in it; its commit() waits for ours, its rollback() fails the attempt."""
        ...


class Transaction(Share, Protocol):
    """An open transaction that holds the entity's lock and has found the job unsettled."""

    def fault(self, error: BaseException) -> Fault | None:
        """What an error that left the handler says of the infrastructure; None: it is an attempt's.

        Ask before `rollback`. A lost connection is a fault whatever the handler made of the error,
        save where the transaction stood idle past its limit: that is the handler's own doing.
        """
        ...

    async def seal(self) -> None:
        """Flush the session and revoke what the handler was given; raises what the flush raises."""
        ...

    async def complete(self, entry: Entry) -> Answer:
        """Write the ledger row and commit: DONE, or SETTLED where another end won (rolled back).

        Raises `TransactionMisused` where the handler ended the transaction, rolled its session
        back, swallowed an SQL error, left a query running or stood idle past the limit; `Fault`
        where the connection was lost (the commit may have happened: run again, the ledger decides);
        the driver's error where COMMIT itself refused (a deferred constraint). The connection is
        given back in every case.
        """
        ...

    async def rollback(self) -> None:
        """Undo everything and give the connection back; never raises."""
        ...


class Transactions(Protocol):
    """Opens transactions, at most as many at once as a lane may have connections."""

    async def begin(self, claim: Claim) -> Transaction | Answer:
        """Open one, take the entity's lock and look the job up.

        BUSY, SETTLED or STALE instead of a transaction mean that nothing was begun. Raises `Fault`.
        """
        ...
