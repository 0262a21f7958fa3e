"""How would a job's own transaction begin and end, without a database?"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from processor.adapters.memory.database import READ_COMMITTED
from processor.adapters.memory.step import Step, onward
from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Ending, Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.ports.ledger import Entry
    from processor.ports.transactions import Claim

    Lend = Callable[[Claim], Awaitable["Beside"]]


class Beside(Protocol):
    """A transaction of another database that begins and ends with a job's own."""

    @property
    def rolled_back(self) -> bool:
        """Whether the handler rolled its session back."""
        ...

    def connection(self) -> Any:  # noqa: ANN401 - the port's own
        """What the handler gets instead of a connection in memory."""
        ...

    def session(self) -> Any:  # noqa: ANN401 - the port's own
        """What the handler gets instead of a session in memory."""
        ...

    async def seal(self) -> None:
        """Send what the session still holds, and revoke what the handler has."""
        ...

    async def commit(self) -> None:
        """Make it durable; raises what the database answers."""
        ...

    async def rollback(self) -> None:
        """Undo it; never raises."""
        ...

    def abandon(self) -> None:
        """Its process is gone: nobody waits until it is undone."""
        ...


class MemoryTransactions:
    """`Transactions`; its steps are `transactions.begin` and, of each one, `transaction.*`.

    Where one begins under repeatable read there is a step `transactions.lock` between its snapshot
    and its lock: what is a moment in a database is long enough here for others to go on.
    """

    isolation: str | None = READ_COMMITTED
    """What BEGIN asks for; None for the database's default."""

    def __init__(
        self, database: MemoryDatabase, *, step: Step = onward, lend: Lend | None = None
    ) -> None:
        """`lend` begins what handlers write through where that is not in memory."""
        self._database = database
        self._lend = lend
        self.step = step
        self._open: dict[MemoryTransaction, None] = {}

    async def begin(self, claim: Claim) -> MemoryTransaction | Answer:
        """See `Transactions`."""
        lost = await self.step("transactions.begin")
        transaction = MemoryTransaction(self._database, claim, self.step, self._open)
        isolation, snapshot = self.isolation or self._database.default_isolation, None
        if isolation != READ_COMMITTED:
            self._database.refuse(isolation)
            snapshot = self._database.snapshot()
            lost = await self.step("transactions.lock") or lost
        answer = self._database.begin(claim, transaction, snapshot)
        if lost is not None:
            self._database.let_go(transaction)  # the server rolls back what it cannot answer
            raise lost
        if answer is not Answer.DONE:
            return answer
        self._open[transaction] = None
        if self._lend is not None:
            try:
                transaction.beside = await self._lend(claim)
            except BaseException:
                transaction.undo()
                raise
        return transaction

    @property
    def open(self) -> Sequence[MemoryTransaction]:
        """Those of this process that have not ended."""
        return tuple(self._open)

    def die(self) -> None:
        """Imitate the death of the process: what is open is rolled back, its locks are free."""
        for transaction in list(self._open):
            transaction.undo()


class MemoryConnection:
    """What a handler writes through: kept aside until the transaction commits.

    Its session is this too: `commit` waits for the job's own, `rollback` fails the attempt. Its
    steps are `transaction.put` and `transaction.get`.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        step: Step,
        before: Mapping[Hashable, object] = MappingProxyType({}),
    ) -> None:
        """`before`: what was written before in the same transaction."""
        self._database = database
        self._step = step
        self._before = before
        self.written: dict[Hashable, object] = {}
        self.rolled_back = False
        self.is_open = True

    async def put(self, key: Hashable, value: object) -> None:
        """Write a value, to be seen by others once the job is complete."""
        self._check()
        lost = await self._step("transaction.put")
        self._check()
        self.written[key] = value
        if lost is not None:
            raise lost

    async def get(self, key: Hashable) -> object:
        """Read a value as this transaction sees it; None where there is none."""
        self._check()
        lost = await self._step("transaction.get")
        self._check()
        stands = self._before.get(key, self._database.values.get(key))
        value = self.written.get(key, stands)
        if lost is not None:
            raise lost
        return value

    async def commit(self) -> None:
        """Wait for the job's own commit."""
        self._check()

    async def rollback(self) -> None:
        """Undo what was written; the attempt fails."""
        self._check()
        self.rolled_back = True

    def _check(self) -> None:
        if not self.is_open:
            raise TransactionMisused(
                "the job's handler has returned: its session and connection are no longer its own"
            )


class MemoryTransaction:
    """`Transaction`; its steps are `transaction.complete` and `transaction.rollback`."""

    def __init__(
        self,
        database: MemoryDatabase,
        claim: Claim,
        step: Step,
        opened: dict[MemoryTransaction, None],
    ) -> None:
        self.claim = claim
        self._database = database
        self._step = step
        self._opened = opened
        self._connection = MemoryConnection(database, step)
        self._ended = False
        self.beside: Beside | None = None

    def connection(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Transaction`."""
        lent = self._lent()
        return lent if self.beside is None else self.beside.connection()

    async def session(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Transaction`."""
        lent = self._lent()
        return lent if self.beside is None else self.beside.session()

    def fault(self, error: BaseException) -> Fault | None:
        """See `Transaction`."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Fault):
            cause = cause.__cause__
        return cause

    async def seal(self) -> None:
        """See `Transaction`."""
        self._connection.is_open = False
        if self.beside is not None:
            await self.beside.seal()

    async def complete(self, entry: Entry) -> Answer:
        """See `Transaction`."""
        self._connection.is_open = False
        if self._ended:
            raise TransactionMisused("the job's transaction has ended")
        if self._rolled_back():
            await self._roll_back_beside()
            self.undo()
            raise TransactionMisused("the handler rolled its session back")
        try:
            lost = await self._step("transaction.complete")
            answer = await self._commit(entry)
        finally:
            await self._roll_back_beside()
            self.undo()
        if lost is not None:
            raise lost
        return answer

    async def rollback(self) -> None:
        """See `Transaction`."""
        self._connection.is_open = False
        if self._ended:
            return
        try:
            await self._step("transaction.rollback")
        finally:
            await self._roll_back_beside()
            self.undo()

    def undo(self) -> None:
        """End it: what was not committed is gone, the lock is free."""
        self._connection.is_open = False
        self._ended = True
        self._opened.pop(self, None)
        self._database.let_go(self)
        beside, self.beside = self.beside, None
        if beside is not None:
            beside.abandon()

    def _rolled_back(self) -> bool:
        beside = self.beside
        return self._connection.rolled_back or (beside is not None and beside.rolled_back)

    async def _roll_back_beside(self) -> None:
        beside, self.beside = self.beside, None
        if beside is not None:
            await beside.rollback()

    async def _commit(self, entry: Entry) -> Answer:
        if self._ended:
            raise Fault("the process died, and its connection with it")
        if (entry.job, entry.generation) in self._database.ledger:
            return Answer.SETTLED
        beside, self.beside = self.beside, None
        if beside is not None:
            await beside.commit()
        self._database.insert(entry, Ending.COMPLETE)
        self._database.values.update(self._connection.written)
        return Answer.DONE

    def _lent(self) -> MemoryConnection:
        if not self._connection.is_open:
            raise TransactionMisused(
                "the job's handler has returned: its session and connection are no longer its own"
            )
        return self._connection
