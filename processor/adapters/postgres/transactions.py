"""How does a job's own transaction begin and end, in PostgreSQL?

Three round trips beside the handler's own: the prologue and the epilogue are each one string of
statements that were prepared once per connection, and the prologue's answer rides in the command
tag. Only uuids, integers and hexadecimal are formatted into the text. RESET ALL rides along, so
that a handler's SET ends with its job.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from processor.adapters.postgres.faults import DRIVER_ERRORS, fault_of, fault_told_by, sqlstate_of
from processor.adapters.postgres.loan import Loan
from processor.adapters.postgres.sessions import SessionMaker
from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Fault

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from processor.adapters.postgres.pool import Link, Pool
    from processor.ports.ledger import Entry
    from processor.ports.transactions import Claim

PREPARE: Final = """
PREPARE jobs_begin_v1 (integer, bigint, uuid, integer, integer, integer, bigint) AS
    SELECT FROM generate_series(1, jobs.begin_job_v1($1, $2, $3, $4, $5, $6, $7));
PREPARE jobs_end_v1 (uuid, integer, integer, integer, bigint, bytea) AS
    SELECT jobs.end_job_v1($1, $2, $3, $4, $5, $6)
"""
"""To be run once on each connection of the pool that `PostgresTransactions` is given."""

ENDED: Final = "JB001"
_SWALLOWED: Final = "25P02"
UNKNOWN_STATEMENT: Final = "26000"
SENTENCES: Final = {
    ENDED: "the handler ended its job's transaction (COMMIT or ROLLBACK): leave that to the job",
    _SWALLOWED: "the handler went on after an SQL error, which had ended its transaction:"
    " let the error out, or use a savepoint (session.begin_nested(), connection.transaction())",
    UNKNOWN_STATEMENT: "the handler dropped the connection's prepared statements",
}


def refusal_of(error: asyncpg.PostgresError) -> Exception:
    """What an error of the server's within a prologue or an epilogue of ours is to the attempt."""
    sentence = SENTENCES.get(sqlstate_of(error))
    return fault_of(error) or error if sentence is None else TransactionMisused(sentence)


ROLLBACK_SECONDS: Final = 2.0
"""How long a broken-off query may take to stop before its connection is terminated."""


class PostgresTransactions:
    """`Transactions` over a pool whose connections ran `PREPARE`."""

    def __init__(self, pool: Pool, sessions: SessionMaker | None = None) -> None:
        """`sessions` are the pool's: one for all who open sessions on its connections."""
        self._pool = pool
        self._sessions = sessions or SessionMaker()

    async def begin(self, claim: Claim) -> PostgresTransaction | Answer:
        """Open one, take the entity's lock and look the job up."""
        link = await self._pool.take(claim.lane)
        text = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; EXECUTE jobs_begin_v1("
            f"{claim.partition:d},{claim.entity_key:d},'{claim.job.hex}',{claim.generation:d},"
            f"{claim.revision:d},{claim.lane:d},{claim.offset:d})"
        )
        try:
            tag = await link.raw.execute(text, timeout=self._pool.patience)
            answer = Answer(int(tag.removeprefix("SELECT ")))
            if answer is Answer.DONE:
                return PostgresTransaction(self._pool, link, self._sessions)
            await link.raw.execute("ROLLBACK", timeout=self._pool.patience)
        except BaseException as error:
            self._pool.give_back(link, doubtful=True)
            if isinstance(error, Exception):
                raise fault_of(error) or Fault(f"the transaction did not begin: {error}") from error
            raise
        self._pool.give_back(link)
        return answer


class PostgresTransaction:
    """An open transaction that holds the entity's lock and has found the job unsettled."""

    def __init__(self, pool: Pool, link: Link, sessions: SessionMaker) -> None:
        self._pool = pool
        self._link: Link | None = link
        self._loan = Loan(link, sessions)
        self._is_unfit = False
        """The connection is not as others need it."""

    def connection(self) -> Any:  # noqa: ANN401 - an asyncpg connection, behind the gate
        """The raw connection; every use after the handler returned raises `TransactionMisused`."""
        return self._loan.connection()

    async def session(self) -> AsyncSession:
        """The job's one session."""
        return await self._loan.session()

    def fault(self, error: BaseException) -> Fault | None:
        """What an error that left the handler says of the infrastructure, if anything."""
        if self._link is None or not self._link.raw.is_closed():
            return fault_told_by(error)
        if self._idled():
            return None
        return fault_of(error) or Fault(f"the connection was lost: {error}")

    async def seal(self) -> None:
        """Flush the session and revoke what the handler was given; raises what the flush raises."""
        await self._loan.seal()

    async def complete(self, entry: Entry) -> Answer:
        """Write the ledger row and commit."""
        try:
            await self._loan.seal()
            self._assert_whole()
            answer = await self._commit(entry)
        except BaseException:
            await self.rollback()
            raise
        self._give_back()
        return answer

    async def rollback(self) -> None:
        """Undo everything and give the connection back; never raises, save when cancelled."""
        self._loan.gate.close()
        if self._link is None:
            return
        raw = self._link.raw
        doubtful = True
        try:
            await raw.execute("ROLLBACK; RESET ALL", timeout=ROLLBACK_SECONDS)
            doubtful = self._is_unfit or self._loan.gate.running > 0
        except DRIVER_ERRORS:
            pass  # terminated below
        finally:
            self._give_back(doubtful=doubtful)

    def _assert_whole(self) -> None:
        """Raise what the handler, or the connection, did to the transaction before its end."""
        if self._held().raw.is_closed():
            raise self._lost()
        self._loan.assert_whole()

    async def _commit(self, entry: Entry) -> Answer:
        text = (
            f"EXECUTE jobs_end_v1('{entry.job.hex}',{entry.generation:d},{entry.partition:d},"
            f"{entry.lane:d},{entry.offset:d},'\\x{entry.body.hex()}'); COMMIT; RESET ALL"
        )
        raw = self._held().raw
        try:
            await raw.execute(text, timeout=self._pool.patience)
        except asyncpg.UniqueViolationError as error:
            if (error.schema_name, error.table_name) != ("jobs", "ledger"):
                raise  # a deferred constraint of the handler's own
            await self.rollback()
            return Answer.SETTLED
        except asyncpg.PostgresError as error:
            self._is_unfit = sqlstate_of(error) == UNKNOWN_STATEMENT
            raise refusal_of(error) from error
        except DRIVER_ERRORS as error:
            raise self._lost() if raw.is_closed() else self._broken(error) from error
        return Answer.DONE

    def _broken(self, error: Exception) -> Exception:
        """An error of the driver's on a connection that is open."""
        self._loan.gate.doubtful = True
        if isinstance(error, asyncpg.InterfaceError) and not isinstance(
            error, asyncpg.InternalClientError
        ):
            return TransactionMisused(f"a task that the handler left behind is in the way: {error}")
        return fault_of(error) or Fault(f"the connection failed: {error}")

    def _lost(self) -> Exception:
        if self._idled():
            return TransactionMisused(
                f"the handler left its transaction idle for more than {self._pool.idle:g} s:"
                " touch the database last, after what takes long"
            )
        return Fault("the connection was lost")

    def _idled(self) -> bool:
        """Whether the server may have ended the transaction because nothing came for so long."""
        waited = asyncio.get_running_loop().time() - self._loan.gate.touched
        return waited >= self._pool.idle

    def _held(self) -> Link:
        if self._link is None:
            raise TransactionMisused("the job's transaction has ended")
        return self._link

    def _give_back(self, *, doubtful: bool = False) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._pool.give_back(link, doubtful=doubtful)
        self._loan.close()
