"""Do memory and PostgreSQL open, complete and undo a job's own transaction alike?"""

from __future__ import annotations

import pytest

from processor.domain.errors import TransactionMisused
from processor.ports.ledger import Answer, Ending, Fault
from tests.contract.worlds import World, a_claim, a_job, an_entry, begun, own


async def test_what_a_handler_wrote_and_the_ledger_row_are_there_together(world: World) -> None:
    job = a_job()
    transaction = await begun(world, a_claim(job))
    await world.write(transaction, "total", 5)
    await transaction.seal()
    assert await world.read("total") is None
    assert await world.ledger.row(job, 1) is None
    assert await transaction.complete(an_entry(job, b"complete")) is Answer.DONE
    assert await world.read("total") == 5
    row = await world.ledger.row(job, 1)
    assert row is not None
    assert (row.ending, row.body, row.offset) == (Ending.COMPLETE, b"complete", 100)


async def test_what_is_rolled_back_leaves_nothing_and_may_run_again(world: World) -> None:
    job = a_job()
    transaction = await begun(world, a_claim(job))
    await world.write(transaction, "total", 5)
    await transaction.rollback()
    await transaction.rollback()
    assert await world.read("total") is None
    again = await begun(world, a_claim(job))
    await world.write(again, "total", 6)
    assert await again.complete(an_entry(job)) is Answer.DONE
    assert await world.read("total") == 6


async def test_a_complete_job_is_settled_for_whoever_begins_it_again(world: World) -> None:
    job = a_job()
    await (await begun(world, a_claim(job))).complete(an_entry(job))
    assert await world.transactions.begin(a_claim(job)) is Answer.SETTLED
    assert await world.transactions.begin(a_claim(job, offset=900)) is Answer.SETTLED


async def test_two_jobs_of_one_entity_never_run_at_once_and_nobody_waits(world: World) -> None:
    first, second = a_job(), a_job()
    frozen = await begun(world, a_claim(first, 7))
    assert await world.transactions.begin(a_claim(second, 7, offset=101)) is Answer.BUSY
    other = await begun(world, a_claim(a_job(), 8))
    await other.rollback()
    await frozen.complete(an_entry(first))
    await (await begun(world, a_claim(second, 7, offset=101))).rollback()


async def test_of_two_ends_of_one_job_the_first_counts_and_the_second_leaves_nothing(
    world: World,
) -> None:
    job = a_job()
    await own(world)
    transaction = await begun(world, a_claim(job))
    await world.write(transaction, "total", 5)
    assert await world.cancel(an_entry(job, b"cancelled")) is Answer.DONE
    assert await transaction.complete(an_entry(job, b"complete")) is Answer.SETTLED
    assert await world.read("total") is None
    row = await world.ledger.row(job, 1)
    assert row is not None
    assert (row.ending, row.body) == (Ending.CANCELLED, b"cancelled")


async def test_a_busy_answer_holds_nothing(world: World) -> None:
    running = await begun(world, a_claim(a_job(), 7))
    for _ in range(20):
        assert await world.transactions.begin(a_claim(a_job(), 7)) is Answer.BUSY
    await running.rollback()
    await (await begun(world, a_claim(a_job(), 7))).rollback()


async def test_a_sealed_transaction_gives_nothing_out(world: World) -> None:
    transaction = await begun(world, a_claim(a_job()))
    connection = transaction.connection()
    await transaction.seal()
    with pytest.raises(TransactionMisused, match="has returned"):
        transaction.connection()
    with pytest.raises(TransactionMisused, match="has returned"):
        await transaction.session()
    with pytest.raises(TransactionMisused, match="has returned"):
        await connection.execute("SELECT 1") if hasattr(
            connection, "execute"
        ) else await connection.get("x")
    await transaction.rollback()


async def test_what_a_handler_kept_cannot_write_into_the_next_jobs_transaction(
    world: World,
) -> None:
    job, next_job = a_job(), a_job()
    transaction = await begun(world, a_claim(job, 7))
    await world.write(transaction, "total", 1)
    kept = transaction.connection()
    await transaction.complete(an_entry(job))
    following = await begun(world, a_claim(next_job, 7, offset=101))

    class Kept:
        def connection(self) -> object:
            return kept

    with pytest.raises(TransactionMisused, match="has returned"):
        await world.write(Kept(), "total", 2)  # type: ignore[arg-type]
    await following.complete(an_entry(next_job, offset=101))
    assert await world.read("total") == 1


async def test_a_sessions_commit_waits_for_the_jobs_own(world: World) -> None:
    job = a_job()
    transaction = await begun(world, a_claim(job))
    await world.write(transaction, "total", 5)
    await (await transaction.session()).commit()
    assert await world.read("total") is None
    await transaction.rollback()
    assert await world.read("total") is None


async def test_a_sessions_rollback_fails_the_attempt_and_says_so(world: World) -> None:
    job = a_job()
    transaction = await begun(world, a_claim(job))
    session = await transaction.session()
    await world.write(transaction, "total", 5)
    await session.rollback()
    await transaction.seal()
    with pytest.raises(TransactionMisused, match="rolled its session back"):
        await transaction.complete(an_entry(job))
    assert await world.read("total") is None
    assert await world.ledger.row(job, 1) is None
    await (await begun(world, a_claim(job))).rollback()


async def test_a_transaction_completes_once(world: World) -> None:
    job = a_job()
    transaction = await begun(world, a_claim(job))
    await transaction.complete(an_entry(job))
    with pytest.raises(TransactionMisused):
        await transaction.complete(an_entry(job))
    await transaction.rollback()
    assert await world.ledger.row(job, 1) is not None


async def test_a_handlers_own_error_is_no_fault_and_a_fault_shows_through_what_wraps_it(
    world: World,
) -> None:
    transaction = await begun(world, a_claim(a_job()))
    assert transaction.fault(ValueError("no")) is None
    wrapped = RuntimeError("the handler's sentence")
    wrapped.__cause__ = Fault("the connection was lost")
    assert transaction.fault(wrapped) is wrapped.__cause__
    await transaction.rollback()
