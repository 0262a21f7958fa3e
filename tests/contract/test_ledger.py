"""Do memory and PostgreSQL know and write the ends of jobs alike?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.memory.rows import Wait
from processor.domain.priority import Priority
from processor.ports.ledger import Answer, Ending, Entry, Flushed, LedgerRow
from tests.contract.test_ownership import blocked
from tests.contract.worlds import (
    CANCEL,
    PostgresWorld,
    World,
    a_claim,
    a_job,
    an_entry,
    begun,
    own,
    waiting_row,
)


def a_row(entry: Entry, ending: Ending = Ending.COMPLETE) -> LedgerRow:
    return LedgerRow(
        entry.job,
        entry.generation,
        ending,
        entry.partition,
        entry.lane,
        entry.offset,
        entry.body,
    )


def told(flushed: Flushed) -> list[LedgerRow | None]:
    """The rows that stand after a flush; what was written stands for itself."""
    return [a_row(one) if isinstance(one, Entry) else one for one in flushed.winners]


async def test_a_flush_writes_many_completions_and_tells_each(world: World) -> None:
    fences = [await own(world, 0), await own(world, 1)]
    entries = [
        an_entry(a_job(), bytes([number]), partition=number % 2, offset=number)
        for number in range(20)
    ]
    flushed = await world.ledger.flush(fences, entries)
    assert told(flushed) == [a_row(entry) for entry in entries]
    assert flushed.fenced == frozenset()
    known = await world.ledger.look_up([0, 1], [entry.job for entry in entries], [])
    assert sorted(known.ledger, key=lambda row: row.offset) == told(flushed)


async def test_a_flush_of_nothing_is_no_question(world: World) -> None:
    flushed = await world.ledger.flush([], [])
    assert (told(flushed), flushed.fenced) == ([], frozenset())


async def test_a_flush_writes_nothing_of_a_partition_that_has_another_owner(world: World) -> None:
    lost, mine = await own(world, 0), await own(world, 1)
    await own(world, 0)
    late, timely = an_entry(a_job()), an_entry(a_job(), partition=1)
    flushed = await world.ledger.flush([lost, mine], [late, timely])
    assert told(flushed) == [None, a_row(timely)]
    assert flushed.fenced == {0}
    assert await world.ledger.row(late.job, 1) is None


async def test_a_flush_needs_the_fence_of_every_partition(world: World) -> None:
    fence = await own(world, 0)
    foreign = an_entry(a_job(), partition=1)
    flushed = await world.ledger.flush([fence], [foreign])
    assert told(flushed) == [None]
    assert flushed.fenced == {1}


async def test_a_flush_that_lost_the_race_tells_the_bytes_that_won(world: World) -> None:
    fence, job = await own(world), a_job()
    cancelled = an_entry(job, b"cancelled", offset=-1)
    assert await world.cancel(cancelled) is Answer.DONE
    flushed = await world.ledger.flush([fence], [an_entry(job, b"complete")])
    assert told(flushed) == [a_row(cancelled, Ending.CANCELLED)]


async def test_a_flush_said_twice_changes_nothing(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"first")
    first = await world.ledger.flush([fence], [entry])
    again = await world.ledger.flush([fence], [an_entry(entry.job, b"second", offset=900)])
    assert told(first) == told(again) == [a_row(entry)]


async def test_of_two_records_of_one_job_in_one_flush_one_counts(world: World) -> None:
    fence, job = await own(world), a_job()
    entries = [
        an_entry(job, b"one", offset=5),
        an_entry(job, b"two", lane=Priority.LOW, offset=5),
    ]
    flushed = await world.ledger.flush([fence], entries)
    stands = await world.ledger.row(job, 1)
    assert stands in [a_row(entry) for entry in entries]
    assert told(flushed) == [stands, stands]


@pytest.mark.parametrize("ending", ["complete", "cancelled"])
async def test_a_generation_that_ended_well_absorbs_the_later_ones(
    world: World, ending: str
) -> None:
    fence, job = await own(world), a_job()
    first = an_entry(job, b"first")
    if ending == "complete":
        await world.ledger.flush([fence], [first])
    else:
        await world.cancel(first)
    second = an_entry(job, b"second", generation=2)
    flushed = await world.ledger.flush([fence], [second])
    stands = a_row(first, Ending.COMPLETE if ending == "complete" else Ending.CANCELLED)
    assert told(flushed) == [stands]
    assert await world.ledger.fail(fence, 7, second) is Answer.SETTLED
    assert await world.transactions.begin(a_claim(job, generation=2)) is Answer.SETTLED
    assert await world.ledger.row(job, 2) == stands


async def test_a_generation_is_settled_once_a_later_one_has_a_row(world: World) -> None:
    fence, job = await own(world), a_job()
    second = an_entry(job, b"second", generation=2)
    await world.ledger.flush([fence], [second])
    rewound = an_entry(job, b"first")
    assert told(await world.ledger.flush([fence], [rewound])) == [a_row(second)]
    assert await world.ledger.fail(fence, 7, rewound) is Answer.SETTLED
    assert await world.transactions.begin(a_claim(job)) is Answer.SETTLED
    assert await world.ledger.row(job, 1) == a_row(second)


async def test_a_failed_generation_leaves_the_next_one_open(world: World) -> None:
    fence, job = await own(world), a_job()
    first, second = an_entry(job, b"failed"), an_entry(job, b"replayed", generation=2)
    assert await world.ledger.fail(fence, 7, first) is Answer.DONE
    assert told(await world.ledger.flush([fence], [second])) == [a_row(second)]
    assert await world.ledger.row(job, 1) == a_row(first, Ending.FAILED)
    assert await world.ledger.row(job, 2) == a_row(second)


async def test_a_job_that_never_ended_has_no_row(world: World) -> None:
    assert await world.ledger.row(a_job(), 1) is None


async def test_a_failure_is_written_once(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"failed")
    assert await world.ledger.fail(fence, 7, entry) is Answer.DONE
    assert await world.ledger.fail(fence, 7, an_entry(entry.job, b"other")) is Answer.SETTLED
    assert await world.ledger.row(entry.job, 1) == a_row(entry, Ending.FAILED)


async def test_a_failure_of_a_zombie_is_not_written(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await own(world)
    assert await world.ledger.fail(fence, 7, entry) is Answer.FENCED
    assert await world.ledger.row(entry.job, 1) is None


async def test_a_failure_never_waits_for_whoever_holds_the_entity(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    frozen = await begun(world, a_claim(a_job(), 7))
    assert await world.ledger.fail(fence, 7, entry) is Answer.BUSY
    assert await world.ledger.fail(fence, 8, an_entry(a_job())) is Answer.DONE
    await frozen.rollback()
    assert await world.ledger.fail(fence, 7, entry) is Answer.DONE


async def test_a_failure_told_from_an_older_revision_is_stale(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await world.record(fence, 7, entry, wait=Wait("r", holds=True))
    assert await world.ledger.fail(fence, 7, entry, revision=0) is Answer.STALE
    assert await world.ledger.fail(fence, 7, entry, revision=1) is Answer.DONE


async def test_a_look_up_tells_rows_of_jobs_heads_of_entities_and_who_has_spilled(
    world: World,
) -> None:
    fence = await own(world)
    ended, head, spilled = an_entry(a_job()), an_entry(a_job()), an_entry(a_job(), offset=7)
    await world.ledger.flush([fence], [ended])
    await world.record(fence, 7, head, wait=Wait("r", holds=True))
    await world.record(fence, 8, spilled, wait=Wait("q", holds=False))
    known = await world.ledger.look_up([0], [ended.job, spilled.job, a_job()], [7, 8, 9])
    assert known.ledger == [a_row(ended)]
    assert {row.job: (row.state, row.holds, row.revision) for row in known.waiting} == {
        head.job: ("r", True, 1),
        spilled.job: ("q", False, 1),
    }
    assert known.spilled == {8: Priority.NORMAL}
    elsewhere = await world.ledger.look_up([1, 2], [], [8])
    assert elsewhere.spilled == {}


async def test_a_row_that_is_both_asked_for_and_a_head_is_told_once(world: World) -> None:
    fence, head = await own(world), an_entry(a_job())
    await world.record(fence, 7, head, wait=Wait("r", holds=True))
    known = await world.ledger.look_up([0], [head.job], [7])
    assert known.waiting == [await waiting_row(world, head.job)]


async def test_a_flush_that_waited_for_a_cancel_reads_the_winner_in_a_new_statement(
    real: PostgresWorld,
) -> None:
    fence, job = await own(real), a_job()
    async with real.handlers.connection() as cancelling:
        await cancelling.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        assert await cancelling.fetchval(CANCEL, job, 1, 0, 2, -1, b"cancelled") == 0
        flush = asyncio.create_task(real.ledger.flush([fence], [an_entry(job, b"complete")]))
        await blocked(real, 1)
        await cancelling.execute("COMMIT")
        (winner,) = told(await flush)
    assert winner is not None
    assert (winner.ending, winner.body) == (Ending.CANCELLED, b"cancelled")


async def test_flushes_of_the_same_jobs_in_opposite_orders_do_not_deadlock(
    real: PostgresWorld,
) -> None:
    fence = await own(real)
    for _ in range(20):
        entries = [an_entry(a_job(), offset=number) for number in range(100)]
        one, other = await asyncio.gather(
            real.ledger.flush([fence], entries), real.ledger.flush([fence], entries[::-1])
        )
        assert told(one) == told(other)[::-1]


async def test_the_service_connections_read_what_they_waited_for_whatever_the_default(
    real: PostgresWorld,
) -> None:
    async with real.service.connection() as connection:
        await connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
            " default_transaction_isolation = ''repeatable read''', current_database()); END $$"
        )
    real.service.drop()
    fence = await own(real)
    assert await real.ledger.fail(fence, 7, an_entry(a_job())) is Answer.DONE


async def test_one_end_stands_also_when_the_next_is_written_on_another_day(
    real: PostgresWorld,
) -> None:
    """A table partitioned by the day of the end would take both: its key would hold the day."""
    fence, job = await own(real), a_job()
    assert await real.ledger.fail(fence, 7, an_entry(job, b"first")) is Answer.DONE
    async with real.service.connection() as connection:
        await connection.execute(
            "UPDATE jobs.ledger SET ended_at = ended_at - interval '1 day' WHERE job = $1", job
        )
    flushed = await real.ledger.flush([fence], [an_entry(job, b"second")])
    assert [row and row.body for row in flushed.winners] == [b"first"]
