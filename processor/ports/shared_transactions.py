"""How do several jobs share one database transaction?

The jobs have their turns one after the other; what one of them did can be undone alone, where the
group was begun with savepoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.ports.ledger import Answer, Entry, Fault
    from processor.ports.transactions import Claim, Share


class SharedTransaction(Protocol):
    """An open transaction that holds the locks of the entities of several jobs."""

    @property
    def answers(self) -> Sequence[Answer]:
        """For each claim: DONE where its job may run here, else BUSY, SETTLED or STALE.

        Only of what is busy nothing is held: the locks of all others are, to the group's end.
        """
        ...

    def share(self) -> Share:
        """Let the next job have its turn, once that of the last was ended by `keep` or `undo`.

        What it is given raises `TransactionMisused` from then on.
        """
        ...

    def fault(self, error: BaseException) -> Fault | None:
        """See `Transaction.fault`; a `Conflict` where somebody else held what the job wanted."""
        ...

    @property
    def was_unshareable(self) -> bool:
        """Whether the job of the last turn wanted what would be the next ones' too: a setting.

        It was refused, and is to be run in a transaction of its own.
        """
        ...

    async def keep(self, *, last: bool = False) -> None:
        """End a turn and keep what its job did; flushes its session.

        Raises what the flush raises, and `TransactionMisused` where `Transaction.complete` would:
        then `undo`. An SQL error that the job swallowed shows here, unless it is the `last` (for
        which nothing is sent) or there are no savepoints: then at what is asked next.
        """
        ...

    async def undo(self) -> bool:
        """End a turn and undo what its job did, and nothing else; never raises.

        False where that cannot be: without savepoints, or on a connection in doubt. Then nothing
        but `rollback` makes sense.
        """
        ...

    async def complete(self, entries: Sequence[Entry]) -> Answer:
        """Write the ledger rows of what was kept, and commit.

        DONE, or SETTLED where another end of one of the jobs won. Raises as `Transaction.complete`
        does. Whatever it raises or answers, all or nothing of the group is committed, and the
        connection is given back.
        """
        ...

    async def rollback(self) -> None:
        """Undo everything and give the connection back; never raises."""
        ...


class SharedTransactions(Protocol):
    """Begins groups, each on a connection of its lane's share."""

    async def begin(self, claims: Sequence[Claim], *, savepoints: bool) -> SharedTransaction:
        """Try the locks of some jobs' entities, all different, and look the jobs up.

        What it waits for in it, it waits for shortly (milliseconds): then it is a `Conflict`.
        Raises `Fault`.
        """
        ...
