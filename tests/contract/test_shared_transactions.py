"""Do memory and PostgreSQL let several jobs share a transaction alike?"""

from __future__ import annotations

import pytest

from processor.adapters.memory.rows import Wait
from processor.domain.errors import TransactionMisused
from processor.domain.ids import JobId
from processor.ports.ledger import Answer, Ending, Fault
from processor.ports.shared_transactions import SharedTransaction
from processor.ports.transactions import Claim
from tests.contract.worlds import World, a_claim, a_group, a_job, an_entry, begun, own

BOTH = pytest.mark.parametrize("savepoints", [True, False], ids=["savepoints", "optimistic"])


def some(number: int) -> tuple[list[JobId], list[Claim]]:
    """Jobs of different entities, 1 and following."""
    jobs = [a_job() for _ in range(number)]
    return jobs, [a_claim(job, key) for key, job in enumerate(jobs, 1)]


async def write(world: World, group: SharedTransaction, key: str, value: int = 1) -> None:
    """A job's whole turn."""
    await world.write(group.share(), key, value)
    await group.keep()


async def are_free(world: World, *keys: int) -> bool:
    """Whether nobody holds the locks of these entities."""
    free = True
    for key in keys:
        begun_one = await world.transactions.begin(a_claim(a_job(), key))
        if isinstance(begun_one, Answer):
            free &= begun_one is not Answer.BUSY
        else:
            await begun_one.rollback()
    return free


@BOTH
async def test_effects_and_ledger_rows_of_all_are_there_together(
    world: World,
    savepoints: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    jobs, claims = some(3)
    group = await a_group(world, *claims, savepoints=savepoints)
    for number in range(3):
        await write(world, group, f"total {number}", number)
    assert await world.read("total 0") is None
    assert not await are_free(world, 2)
    entries = [an_entry(job, f"body {number}".encode()) for number, job in enumerate(jobs)]
    assert await group.complete(entries) is Answer.DONE
    for number, job in enumerate(jobs):
        assert await world.read(f"total {number}") == number
        row = await world.ledger.row(job, 1)
        assert row is not None
        assert (row.ending, row.body) == (Ending.COMPLETE, entries[number].body)
    assert await are_free(world, 1, 2, 3)


@BOTH
async def test_what_is_rolled_back_leaves_nothing_of_any(
    world: World,
    savepoints: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    jobs, claims = some(2)
    group = await a_group(world, *claims, savepoints=savepoints)
    await write(world, group, "first")
    await world.write(group.share(), "second", 1)
    await group.rollback()
    await group.rollback()
    assert (await world.read("first"), await world.read("second")) == (None, None)
    assert [await world.ledger.row(job, 1) for job in jobs] == [None, None]
    assert await are_free(world, 1, 2)


@pytest.mark.parametrize("failing", range(3))
async def test_what_one_job_did_is_undone_alone(world: World, failing: int) -> None:
    jobs, claims = some(3)
    group = await a_group(world, *claims)
    kept = []
    for number, job in enumerate(jobs):
        await world.write(group.share(), f"total {number}", 1)
        if number == failing:
            assert await group.undo()
        else:
            await group.keep(last=number == 2)
            kept.append(an_entry(job))
    assert await group.complete(kept) is Answer.DONE
    for number, job in enumerate(jobs):
        assert await world.read(f"total {number}") == (None if number == failing else 1)
        assert (await world.ledger.row(job, 1) is None) == (number == failing)


async def test_the_lock_of_a_job_that_was_undone_is_held_to_the_groups_end(world: World) -> None:
    jobs, claims = some(2)
    group = await a_group(world, *claims)
    group.share()
    assert await group.undo()
    assert not await are_free(world, 1)
    await write(world, group, "second")
    assert await group.complete([an_entry(jobs[1])]) is Answer.DONE
    assert await are_free(world, 1, 2)


async def test_without_savepoints_nothing_is_undone_alone(world: World) -> None:
    _, claims = some(2)
    group = await a_group(world, *claims, savepoints=False)
    await write(world, group, "first")
    group.share()
    assert not await group.undo()
    await group.rollback()
    assert await world.read("first") is None


async def test_a_job_sees_what_those_before_it_wrote(world: World) -> None:
    jobs, claims = some(2)
    group = await a_group(world, *claims)
    await write(world, group, "total", 1)
    await world.write(group.share(), "total", 2)
    await group.keep(last=True)
    assert await group.complete([an_entry(job) for job in jobs]) is Answer.DONE
    assert await world.read("total") == 2


async def test_who_is_busy_settled_or_stale_is_told_apart_and_the_others_run(world: World) -> None:
    fence = await own(world)
    jobs, claims = some(5)
    running = await begun(world, a_claim(a_job(), 1))
    assert await world.cancel(an_entry(jobs[1], b"cancelled")) is Answer.DONE
    waits = an_entry(jobs[2], b"so far")
    assert await world.record(fence, 3, waits, wait=Wait("r", holds=True)) is Answer.DONE
    head = an_entry(a_job(), b"so far")
    assert await world.record(fence, 4, head, wait=Wait("r", holds=True)) is Answer.DONE
    group = await world.shared.begin(claims, savepoints=True)
    assert list(group.answers) == [
        Answer.BUSY, Answer.SETTLED, Answer.STALE, Answer.STALE, Answer.DONE,
    ]  # fmt: skip
    await running.rollback()
    assert await are_free(world, 1)
    assert not await are_free(world, 2)
    group.share()
    assert await group.undo()  # locks and answers are older than the first turn
    await write(world, group, "last")
    assert await group.complete([an_entry(jobs[4])]) is Answer.DONE
    assert await world.read("last") == 1


async def test_a_job_that_a_row_carries_is_begun_under_its_revision(world: World) -> None:
    fence = await own(world)
    jobs = [a_job(), a_job()]
    entry = an_entry(jobs[0], b"so far")
    assert await world.record(fence, 1, entry, wait=Wait("r", holds=True)) is Answer.DONE
    claims = [a_claim(jobs[0], 1, revision=1), a_claim(jobs[1], 2)]
    group = await a_group(world, *claims)
    await write(world, group, "first")
    await write(world, group, "second")
    assert await group.complete([an_entry(job) for job in jobs]) is Answer.DONE
    assert await world.transactions.begin(claims[0]) is Answer.SETTLED


async def test_an_end_that_was_first_undoes_the_whole_group(world: World) -> None:
    jobs, claims = some(3)
    await own(world)
    group = await a_group(world, *claims)
    for number in range(3):
        await write(world, group, f"total {number}")
    assert await world.cancel(an_entry(jobs[1], b"cancelled")) is Answer.DONE
    assert await group.complete([an_entry(job) for job in jobs]) is Answer.SETTLED
    assert [await world.read(f"total {number}") for number in range(3)] == [None] * 3
    assert [(await world.ledger.row(job, 1)) is None for job in jobs] == [True, False, True]
    assert await are_free(world, 1, 3)


async def test_what_a_job_kept_is_revoked_with_its_turn(world: World) -> None:
    _, claims = some(3)
    group = await a_group(world, *claims)
    for end in (group.keep, group.undo):
        share = group.share()
        connection = share.connection()
        await end()
        with pytest.raises(TransactionMisused, match="has returned"):
            share.connection()
        with pytest.raises(TransactionMisused, match="has returned"):
            await share.session()
        with pytest.raises(TransactionMisused, match="has returned"):
            await connection.execute("SELECT 1") if hasattr(
                connection, "execute"
            ) else await connection.get("x")
    await group.rollback()


async def test_a_session_that_was_rolled_back_fails_its_job_and_no_other(world: World) -> None:
    jobs, claims = some(3)
    group = await a_group(world, *claims)
    await write(world, group, "first")
    share = group.share()
    await world.write(share, "second", 1)
    await (await share.session()).rollback()
    with pytest.raises(TransactionMisused, match="rolled its session back"):
        await group.keep()
    assert await group.undo()
    await write(world, group, "third")
    assert await group.complete([an_entry(jobs[0]), an_entry(jobs[2])]) is Answer.DONE
    kept = [await world.read(key) for key in ("first", "second", "third")]
    assert kept == [1, None, 1]


async def test_a_sessions_commit_waits_for_the_groups(world: World) -> None:
    jobs, claims = some(2)
    group = await a_group(world, *claims)
    share = group.share()
    await world.write(share, "first", 1)
    await (await share.session()).commit()
    assert await world.read("first") is None
    await group.keep()
    share = group.share()
    await (await share.session()).commit()
    await group.keep(last=True)
    assert await world.read("first") is None
    assert await group.complete([an_entry(job) for job in jobs]) is Answer.DONE
    assert await world.read("first") == 1


async def test_a_handlers_own_error_is_no_fault_and_a_fault_shows_through_what_wraps_it(
    world: World,
) -> None:
    group = await a_group(world, a_claim(a_job()))
    assert group.fault(ValueError("no")) is None
    wrapped = RuntimeError("the handler's sentence")
    wrapped.__cause__ = Fault("the connection was lost")
    assert group.fault(wrapped) is wrapped.__cause__
    await group.rollback()


async def test_a_group_completes_once(world: World) -> None:
    jobs, claims = some(1)
    group = await a_group(world, *claims)
    await write(world, group, "first")
    assert await group.complete([an_entry(jobs[0])]) is Answer.DONE
    with pytest.raises((TransactionMisused, Fault)):
        await group.complete([an_entry(jobs[0])])
    with pytest.raises(TransactionMisused):
        group.share()
    await group.rollback()
    assert await world.ledger.row(jobs[0], 1) is not None
