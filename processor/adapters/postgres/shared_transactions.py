"""How do several jobs share one transaction, in PostgreSQL?

As for a single job everything rides in few strings of statements that were prepared once per
connection: the prologue (locks, then the look-up in a younger snapshot), per job RELEASE and
SAVEPOINT in one, and all ledger rows with COMMIT. `SELECT 0` is the prologue's usual answer: every
lock was free, nothing is known of any job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS, fault_of, fault_told_by, sqlstate_of
from processor.adapters.postgres.loan import Loan
from processor.adapters.postgres.sessions import SessionMaker
from processor.adapters.postgres.transactions import (
    ENDED,
    ROLLBACK_SECONDS,
    SENTENCES,
    UNKNOWN_STATEMENT,
    refusal_of,
)
from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.adapters.postgres.pool import Link, Pool
    from processor.ports.ledger import Entry
    from processor.ports.transactions import Claim

PREPARE_SHARED: Final = """
PREPARE jobs_lock_many_v1 (text, bigint[]) AS SELECT jobs.lock_jobs_v1($1, $2);
PREPARE jobs_begin_many_v1 (
    text, integer[], bigint[], uuid[], integer[], integer[], integer[], bigint[]
) AS SELECT FROM generate_series(1, jobs.begin_jobs_v1($1, $2, $3, $4, $5, $6, $7, $8));
PREPARE jobs_end_many_v1 (text, uuid[], integer[], integer[], integer[], bigint[], bytea[]) AS
    SELECT jobs.end_jobs_v1($1, $2, $3, $4, $5, $6, $7)
"""
"""To be run once on each connection of the pool that `PostgresSharedTransactions` is given."""

LOCK_MILLISECONDS: Final = 20
"""How long a group waits for what somebody else holds: its own rows stay locked to its end, and
two groups that wait for each other's hold up all that come after them."""
_LOST_RACE: Final = "JB003"


class PostgresSharedTransactions:
    """`SharedTransactions` over a pool whose connections ran `PREPARE_SHARED`."""

    def __init__(self, pool: Pool, sessions: SessionMaker | None = None) -> None:
        """`sessions` are the pool's: one for all who open sessions on its connections."""
        self._pool = pool
        self._sessions = sessions or SessionMaker()

    async def begin(
        self, claims: Sequence[Claim], *, savepoints: bool
    ) -> PostgresSharedTransaction:
        """See `SharedTransactions`."""
        link = await self._pool.take(claims[0].lane)
        token = f"{claims[0].job.hex}{claims[0].generation:d}"
        try:
            text = _prologue(token, claims, savepoints=savepoints)
            tag = await link.raw.execute(text, timeout=self._pool.patience)
            answers = [Answer.DONE] * len(claims)
            if tag != "SELECT 0":
                told = await link.raw.fetchval(
                    "SELECT current_setting('jobs.answers')", timeout=self._pool.patience
                )
                answers = [Answer(int(number)) for number in told.split(",")]
        except BaseException as error:
            self._pool.give_back(link, doubtful=True)
            if isinstance(error, Exception):
                raise fault_of(error) or Fault(f"the group did not begin: {error}") from error
            raise
        return PostgresSharedTransaction(
            self._pool, link, self._sessions, token, answers, savepoints=savepoints
        )


class PostgresSharedTransaction:
    """`SharedTransaction`."""

    def __init__(
        self,
        pool: Pool,
        link: Link,
        sessions: SessionMaker,
        token: str,
        answers: Sequence[Answer],
        *,
        savepoints: bool,
    ) -> None:
        self.answers = answers
        self._pool = pool
        self._link: Link | None = link
        self._sessions = sessions
        self._token = token
        self._savepoints = savepoints
        self._loan: Loan | None = None
        self._is_unfit = False
        """The connection is not as others need it."""

    def share(self) -> Loan:
        """See `SharedTransaction`."""
        self._loan = Loan(self._held(), self._sessions, shared=True)
        return self._loan

    def fault(self, error: BaseException) -> Fault | None:
        """See `SharedTransaction`."""
        if self._link is None or not self._link.raw.is_closed():
            return fault_told_by(error)
        return fault_of(error) or Fault(f"the connection was lost: {error}")

    @property
    def was_unshareable(self) -> bool:
        """See `SharedTransaction`."""
        return self._loan is not None and self._loan.gate.unshareable

    async def keep(self, *, last: bool = False) -> None:
        """See `SharedTransaction`."""
        loan, raw = self._loan, self._held().raw
        assert loan is not None  # noqa: S101 - a turn is ended that was begun
        await loan.seal()
        if raw.is_closed():
            raise Fault("the connection was lost")
        loan.assert_whole()
        if not raw.is_in_transaction():
            raise TransactionMisused(SENTENCES[ENDED])
        if self._savepoints and not last:
            await self._ask("RELEASE SAVEPOINT jobs_share; SAVEPOINT jobs_share")
        loan.close()

    async def undo(self) -> bool:
        """See `SharedTransaction`."""
        loan, link = self._loan, self._link
        if loan is not None:
            loan.close()
        if not self._savepoints or loan is None or loan.gate.running or link is None:
            return False
        try:
            await link.raw.execute("ROLLBACK TO SAVEPOINT jobs_share", timeout=ROLLBACK_SECONDS)
        except DRIVER_ERRORS:
            return False
        return True

    async def complete(self, entries: Sequence[Entry]) -> Answer:
        """See `SharedTransaction`."""
        try:
            await self._ask(_epilogue(self._token, entries))
        except BaseException as error:
            await self.rollback()
            if sqlstate_of(error) == _LOST_RACE:
                return Answer.SETTLED
            raise
        self._give_back()
        return Answer.DONE

    async def rollback(self) -> None:
        """See `SharedTransaction`; raises when cancelled."""
        running = 0
        if self._loan is not None:
            self._loan.close()
            running = self._loan.gate.running
        if self._link is None:
            return
        doubtful = True
        try:
            await self._link.raw.execute("ROLLBACK; RESET ALL", timeout=ROLLBACK_SECONDS)
            doubtful = self._is_unfit or running > 0
        except DRIVER_ERRORS:
            pass  # terminated below
        finally:
            self._give_back(doubtful=doubtful)

    async def _ask(self, text: str) -> None:
        raw = self._held().raw
        try:
            await raw.execute(text, timeout=self._pool.patience)
        except asyncpg.PostgresError as error:
            self._is_unfit = sqlstate_of(error) == UNKNOWN_STATEMENT
            raise refusal_of(error) from error
        except DRIVER_ERRORS as error:
            raise fault_of(error) or Fault(f"the connection failed: {error}") from error

    def _held(self) -> Link:
        if self._link is None:
            raise TransactionMisused("the group's transaction has ended")
        return self._link

    def _give_back(self, *, doubtful: bool = False) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._pool.give_back(link, doubtful=doubtful)


def _prologue(token: str, claims: Sequence[Claim], *, savepoints: bool) -> str:
    keys = ",".join([str(claim.entity_key) for claim in claims])
    columns = "','".join(
        (
            _array([claim.partition for claim in claims]),
            f"{{{keys}}}",
            f"{{{','.join([claim.job.hex for claim in claims])}}}",
            _array([claim.generation for claim in claims]),
            _array([claim.revision for claim in claims]),
            _array([claim.lane for claim in claims]),
            _array([claim.offset for claim in claims]),
        )
    )
    savepoint = " SAVEPOINT jobs_share;" if savepoints else ""
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
        f" SET LOCAL lock_timeout = {LOCK_MILLISECONDS:d};"
        f" EXECUTE jobs_lock_many_v1('{token}','{{{keys}}}');{savepoint}"
        f" EXECUTE jobs_begin_many_v1('{token}','{columns}')"
    )


def _epilogue(token: str, entries: Sequence[Entry]) -> str:
    columns = "','".join(
        (
            f"{{{','.join([entry.job.hex for entry in entries])}}}",
            _array([entry.generation for entry in entries]),
            _array([entry.partition for entry in entries]),
            _array([entry.lane for entry in entries]),
            _array([entry.offset for entry in entries]),
            "{" + ",".join([f'"\\\\x{entry.body.hex()}"' for entry in entries]) + "}",
        )
    )
    return f"EXECUTE jobs_end_many_v1('{token}','{columns}'); COMMIT; RESET ALL"


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join([f"{number:d}" for number in numbers]) + "}"
