"""How would several jobs share one transaction, without a database?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.adapters.memory.step import Step, onward
from processor.adapters.memory.transactions import MemoryConnection
from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Ending, Fault

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from processor.adapters.memory.database import MemoryDatabase
    from processor.ports.ledger import Entry
    from processor.ports.transactions import Claim


class MemorySharedTransactions:
    """`SharedTransactions`; its steps are `transactions.begin_group` and each one's own."""

    def __init__(self, database: MemoryDatabase, *, step: Step = onward) -> None:
        self._database = database
        self.step = step
        self._open: dict[MemorySharedTransaction, None] = {}

    async def begin(self, claims: Sequence[Claim], *, savepoints: bool) -> MemorySharedTransaction:
        """See `SharedTransactions`."""
        lost = await self.step("transactions.begin_group")
        group = MemorySharedTransaction(
            self._database, claims, self.step, self._open, savepoints=savepoints
        )
        if lost is not None:
            group.end()  # the server rolls back what it cannot answer
            raise lost
        return group

    def claimed(self) -> Iterator[Claim]:
        """The jobs whose entities are locked by groups of this process that have not ended."""
        for group in self._open:
            for claim, answer in zip(group.claims, group.answers, strict=True):
                if answer is Answer.DONE:
                    yield claim

    def die(self) -> None:
        """Imitate the death of the process: what is open is rolled back, its locks are free."""
        for group in list(self._open):
            group.end()


class MemoryShare:
    """`Share`: a connection that is a session too."""

    def __init__(self, connection: MemoryConnection) -> None:
        self._connection = connection

    def connection(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Share`."""
        if not self._connection.is_open:
            raise TransactionMisused(
                "the job's handler has returned: its session and connection are no longer its own"
            )
        return self._connection

    async def session(self) -> Any:  # noqa: ANN401 - the port's own
        """See `Share`."""
        return self.connection()


class MemorySharedTransaction:
    """`SharedTransaction`; its steps: `transaction.keep`, `.undo`, `.complete`, `.rollback`."""

    def __init__(
        self,
        database: MemoryDatabase,
        claims: Sequence[Claim],
        step: Step,
        opened: dict[MemorySharedTransaction, None],
        *,
        savepoints: bool,
    ) -> None:
        self.claims = claims
        self.answers = [self._begin(database, claim) for claim in claims]
        self._database = database
        self._step = step
        self._opened = opened
        self._savepoints = savepoints
        self._written: dict[Hashable, object] = {}
        self._turn = MemoryConnection(database, step)
        self._ended = False
        opened[self] = None

    def _begin(self, database: MemoryDatabase, claim: Claim) -> Answer:
        """The locks of those that may not run are held as well."""
        answer = database.begin(claim, self)
        if answer is not Answer.BUSY:
            database.locks[claim.entity_key] = self
        return answer

    def share(self) -> MemoryShare:
        """See `SharedTransaction`."""
        if self._ended:
            raise TransactionMisused("the group's transaction has ended")
        self._turn = MemoryConnection(self._database, self._step, self._written)
        return MemoryShare(self._turn)

    def fault(self, error: BaseException) -> Fault | None:
        """See `SharedTransaction`."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Fault):
            cause = cause.__cause__
        return cause

    @property
    def was_unshareable(self) -> bool:
        """See `SharedTransaction`: nothing in memory is."""
        return False

    async def keep(self, *, last: bool = False) -> None:
        """See `SharedTransaction`."""
        turn = self._turn
        turn.is_open = False
        if turn.rolled_back:
            raise TransactionMisused("the handler rolled its session back")
        if self._savepoints and not last:
            lost = await self._step("transaction.keep")
            if lost is not None:
                raise lost
        self._written.update(turn.written)

    async def undo(self) -> bool:
        """See `SharedTransaction`."""
        self._turn.is_open = False
        if self._ended or not self._savepoints:
            return False
        try:
            lost = await self._step("transaction.undo")
        except Fault:
            return False
        if lost is not None and not isinstance(lost, Fault):
            raise lost
        return lost is None

    async def complete(self, entries: Sequence[Entry]) -> Answer:
        """See `SharedTransaction`."""
        try:
            lost = await self._step("transaction.complete")
            answer = self._commit(entries)
        finally:
            self.end()
        if lost is not None:
            raise lost
        return answer

    async def rollback(self) -> None:
        """See `SharedTransaction`."""
        self._turn.is_open = False
        if self._ended:
            return
        try:
            await self._step("transaction.rollback")
        finally:
            self.end()

    def end(self) -> None:
        """End it: what was not committed is gone, the locks are free."""
        self._turn.is_open = False
        self._ended = True
        self._opened.pop(self, None)
        self._database.let_go(self)

    def _commit(self, entries: Sequence[Entry]) -> Answer:
        if self._ended:
            raise Fault("the process died, and its connection with it")
        if any((entry.job, entry.generation) in self._database.ledger for entry in entries):
            return Answer.SETTLED
        for entry in entries:
            self._database.insert(entry, Ending.COMPLETE)
        self._database.values.update(self._written)
        return Answer.DONE
