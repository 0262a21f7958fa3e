"""What does a handler receive?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from processor.domain.errors import TransactionMisused
from processor.domain.limits import TEXT_BYTES
from processor.ports.ledger import Answer, Fault
from processor.runtime.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.submission import Caller, Trace
    from processor.ports.transactions import Claim, Share, Transaction, Transactions
    from processor.runtime.run import Run

P = TypeVar("P")


class Interrupted(BaseException):
    """The attempt may not go on: not an Exception, so that no handler mends it by accident."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where in the cluster the attempt runs."""

    worker: str
    release: str
    partition: int
    lane: Priority
    attempt: int
    run: int
    generation: int


class Opening:
    """The job's transaction, opened when the handler first touches it.

    A verdict that is not *run* is sticky: a handler that swallows `Interrupted` and returns is not
    complete.
    """

    __slots__ = ("_claim", "_closed", "_transactions", "fault", "lock", "transaction", "verdict")

    def __init__(self, transactions: Transactions, claim: Callable[[], Claim | None]) -> None:
        """`claim` is None once the job's partition is lost: then nothing of it may begin."""
        self._transactions = transactions
        self._claim = claim
        self.lock = asyncio.Lock()
        """Held while the transaction opens, and while a row comes to carry the job."""
        self._closed = False
        self.transaction: Transaction | None = None
        self.verdict: Answer | None = None
        self.fault: Fault | None = None

    async def open(self) -> Share:
        """The one transaction of this attempt, also for several tasks of the handler at once."""
        async with self.lock:
            if self._closed:
                message = "the handler has returned: its transaction is closed"
                raise TransactionMisused(message)
            if self.transaction is None:
                self.transaction = await self._begin()
            return self.transaction

    async def _begin(self) -> Transaction:
        if self.verdict is not None or self.fault is not None:
            raise Interrupted
        try:
            claim = self._claim()
            begun = Answer.FENCED if claim is None else await self._transactions.begin(claim)
        except Fault as fault:
            self.fault = fault
            raise Interrupted from fault
        if isinstance(begun, Answer):
            self.verdict = begun
            raise Interrupted
        return begun

    def shut(self) -> None:
        """Let nobody open it any more."""
        self._closed = True

    async def close(self) -> Transaction | None:
        """Let nobody open it any more; what is open now, also by a task the handler left behind."""
        self.shut()
        async with self.lock:
            return self.transaction

    async def roll_back(self) -> None:
        """Close it, and undo what was done in it."""
        transaction = await self.close()
        if transaction is not None:
            await transaction.rollback()


class Joined(Opening):
    """A job's share of its group's transaction, which is open already."""

    __slots__ = ("_share",)

    def __init__(self, share: Share) -> None:
        self._share = share
        self.lock = asyncio.Lock()
        self._closed = False
        self.transaction = self.verdict = self.fault = None

    async def open(self) -> Share:
        """The share, as long as it is the job's turn."""
        return self._share


class _Told:
    """Awaitable at once, so that `progress` reads the same in `def` and `async def` handlers."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_TOLD: Final = _Told()


class Request(Generic[P]):
    """One attempt's view: the parsed payload, who asked, where it runs, and its transaction."""

    __slots__ = ("_in_thread", "_record", "_run", "payload")

    def __init__(self, payload: P, run: Run, *, in_thread: bool = False) -> None:
        self.payload = payload
        self._run = run
        self._record = run.delivery.record
        self._in_thread = in_thread

    @property
    def cluster(self) -> Cluster:
        """Where in the cluster the attempt runs."""
        run, delivery = self._run, self._run.delivery
        return Cluster(
            *run.identity,
            delivery.partition.number,
            delivery.lane,
            run.attempt,
            run.number,
            self._record.generation,
        )

    @property
    def job_id(self) -> JobId:
        """The job's id, the same over every attempt and replay."""
        return self._record.job

    @property
    def type(self) -> str:
        """The job's type."""
        return self._record.type

    @property
    def entity(self) -> str:
        """What the job concerns; its own id where the producer named nothing."""
        return self._record.entity

    @property
    def tenant(self) -> str | None:
        """On whose behalf."""
        return self._record.tenant

    @property
    def caller(self) -> Caller:
        """User, session, request id, ip and user agent of whoever submitted."""
        return self._record.caller

    @property
    def batch_id(self) -> UUID | None:
        """The batch it was submitted with."""
        return self._record.batch

    @property
    def trace(self) -> Trace | None:
        """The trace it belongs to."""
        return self._record.trace

    @property
    def attempt(self) -> int:
        """Counted from 1 within a generation."""
        return self._run.attempt

    @property
    def idempotency_key(self) -> str:
        """For calls to the outside world: stable over every attempt of a generation."""
        return f"{self._record.job}-{self._record.generation}"

    def connection(self) -> Awaitable[Any]:
        """The raw asyncpg connection in the job's transaction; awaiting it opens it.

        Raises `TransactionMisused` in a `def` handler, which has no transaction.
        """
        return self._connection(self._openable())

    def session(self) -> Awaitable[AsyncSession]:
        """An SQLAlchemy session in the job's transaction; awaiting it opens it.

        Raises `TransactionMisused` in a `def` handler, which has no transaction.
        """
        return self._session(self._openable())

    def progress(self, percent: float, note: str = "") -> Awaitable[None]:
        """Tell how far the job is; shown while it runs, at most once a second.

        Raises `TypeError` or `ValueError` where `percent` is no number; a long note is cut.
        """
        said = str(note).encode(errors="replace")[:TEXT_BYTES].decode(errors="ignore")
        self._run.tell(float(percent), said)
        return _TOLD

    @overload
    def submit(self, submission: Submission) -> JobId: ...

    @overload
    def submit(self, submission: Iterable[Submission]) -> list[JobId]: ...

    def submit(self, submission: Submission | Iterable[Submission]) -> JobId | list[JobId]:
        """Submit follow-ups, one or many: they exist if and only if this job completes.

        Raises `Reject` where one does not fit, or there are more than an outcome may hold.
        """
        if isinstance(submission, Submission):
            return self._run.submit(submission)
        return [self._run.submit(one) for one in submission]

    def _openable(self) -> Opening:
        if self._in_thread:
            message = "a `def` handler runs in a thread and has no transaction: make it `async def`"
            raise TransactionMisused(message)
        return self._run.open()

    @staticmethod
    async def _connection(opening: Opening) -> Any:  # noqa: ANN401 - an asyncpg connection
        return (await opening.open()).connection()

    @staticmethod
    async def _session(opening: Opening) -> AsyncSession:
        session: AsyncSession = await (await opening.open()).session()
        return session
