"""Do memory and PostgreSQL keep the waiting room's rules alike?"""

from __future__ import annotations

import pytest

from processor.adapters.memory.rows import Wait
from processor.domain.priority import Priority
from processor.ports.ledger import Answer, Ending
from tests.contract.worlds import (
    PostgresWorld,
    World,
    a_claim,
    a_job,
    an_entry,
    begun,
    own,
    waiting_row,
)

RETRYING = Wait("r", holds=True)
QUEUED = Wait("q", holds=False)
BLOCKING = Wait("b", holds=True)


async def test_every_write_of_a_row_counts_its_revision_up(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    for revision in range(3):
        assert await world.record(fence, 7, entry, revision, wait=RETRYING) is Answer.DONE
    assert (await waiting_row(world, entry.job)).revision == 3


async def test_a_late_park_of_an_older_attempt_overwrites_nothing(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await world.record(fence, 7, entry, wait=RETRYING)
    await world.record(fence, 7, entry, 1, wait=RETRYING)
    assert await world.record(fence, 7, entry, 1, wait=RETRYING) is Answer.STALE
    assert await world.record(fence, 7, entry, 0, wait=RETRYING) is Answer.STALE


async def test_an_entity_has_one_head(world: World) -> None:
    fence = await own(world)
    first, second = an_entry(a_job()), an_entry(a_job(), offset=101)
    assert await world.record(fence, 7, first, wait=RETRYING) is Answer.DONE
    assert await world.record(fence, 7, second, wait=RETRYING) is Answer.STALE
    assert await world.record(fence, 7, second, wait=QUEUED) is Answer.DONE
    assert await world.record(fence, 8, second, 1, wait=RETRYING) is Answer.DONE


async def test_a_head_that_has_ended_gives_way_to_the_next(world: World) -> None:
    fence = await own(world)
    first, second = an_entry(a_job()), an_entry(a_job(), offset=101)
    await world.record(fence, 7, first, wait=RETRYING)
    await world.ledger.fail(fence, 7, first, 1)
    assert await world.record(fence, 7, second, wait=RETRYING) is Answer.DONE
    known = await world.ledger.look_up([0], [], [7])
    assert [row.job for row in known.waiting] == [second.job]


async def test_a_zombie_parks_nothing(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await own(world)
    assert await world.record(fence, 7, entry, wait=RETRYING) is Answer.FENCED
    assert (await world.ledger.look_up([0], [entry.job], [])).waiting == []


async def test_parking_never_waits_for_whoever_holds_the_entity(world: World) -> None:
    fence = await own(world)
    running = await begun(world, a_claim(a_job(), 7))
    assert await world.record(fence, 7, an_entry(a_job()), wait=QUEUED) is Answer.BUSY
    await running.rollback()


async def test_a_job_that_was_cancelled_is_not_parked(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await world.cancel(entry)
    assert await world.record(fence, 7, entry, wait=RETRYING) is Answer.SETTLED


async def test_a_job_that_waits_is_not_begun_by_who_does_not_know(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await world.record(fence, 7, entry, wait=RETRYING)
    assert await world.transactions.begin(a_claim(entry.job)) is Answer.STALE
    await (await begun(world, a_claim(entry.job, revision=1))).rollback()


async def test_a_late_begin_finds_that_its_row_was_written_since(world: World) -> None:
    """The attempt is the same, the revision is not: another owner moved it to `running`."""
    fence, entry = await own(world), an_entry(a_job())
    await world.record(fence, 7, entry, wait=Wait("r", holds=True, attempt=1))
    await world.record(fence, 7, entry, 1, wait=Wait("u", holds=True, attempt=1))
    assert await world.transactions.begin(a_claim(entry.job, revision=1)) is Answer.STALE


async def test_a_job_does_not_pass_its_entitys_head(world: World) -> None:
    fence, head = await own(world), an_entry(a_job())
    await world.record(fence, 7, head, wait=RETRYING)
    assert await world.transactions.begin(a_claim(a_job(), offset=101)) is Answer.STALE
    await (await begun(world, a_claim(a_job(), 8))).rollback()


async def test_a_zombies_job_does_not_pass_the_spilled_ones_before_it(world: World) -> None:
    fence, spilled = await own(world), an_entry(a_job(), offset=50)
    await world.record(fence, 7, spilled, wait=QUEUED)
    assert await world.transactions.begin(a_claim(a_job(), offset=51)) is Answer.STALE
    before = await begun(world, a_claim(a_job(), offset=49))
    await before.rollback()


async def test_a_job_in_the_waiting_room_as_a_later_generation_is_settled(world: World) -> None:
    fence, job = await own(world), a_job()
    await world.record(fence, 7, an_entry(job, generation=2), wait=RETRYING)
    assert await world.transactions.begin(a_claim(job)) is Answer.SETTLED


async def test_a_head_that_has_ended_stops_nobody(world: World) -> None:
    fence, head = await own(world), an_entry(a_job())
    await world.record(fence, 7, head, wait=RETRYING)
    await world.cancel(head)
    await (await begun(world, a_claim(a_job(), offset=101))).rollback()


async def test_a_failure_that_blocks_is_in_the_ledger_and_holds_its_entity(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"failed")
    assert await world.record(fence, 7, entry, died=True, wait=BLOCKING) is Answer.DONE
    row = await world.ledger.row(entry.job, 1)
    assert row is not None
    assert row.ending is Ending.FAILED
    assert await world.transactions.begin(a_claim(a_job(), offset=101)) is Answer.STALE


async def test_a_blocking_row_is_over_once_a_later_generation_is_in_the_ledger(
    world: World,
) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"failed")
    await world.record(fence, 7, entry, died=True, wait=BLOCKING)
    await world.ledger.flush([fence], [an_entry(entry.job, b"replayed", generation=2)])
    await (await begun(world, a_claim(a_job(), offset=101))).rollback()
    assert await world.record(fence, 7, an_entry(a_job()), wait=RETRYING) is Answer.DONE


async def test_a_replay_turns_the_blocking_row_in_place(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"failed")
    await world.record(fence, 7, entry, died=True, wait=BLOCKING)
    second = an_entry(entry.job, b"replayed", generation=2)
    assert await world.replay_in_place(fence, 7, second) is Answer.DONE
    row = await waiting_row(world, entry.job)
    assert (row.generation, row.state, row.holds, row.revision) == (2, "r", True, 2)
    assert await world.replay_in_place(fence, 7, second) is Answer.STALE
    assert await world.transactions.begin(a_claim(a_job(), offset=101)) is Answer.STALE
    await (await begun(world, a_claim(entry.job, generation=2, revision=2))).rollback()


async def test_a_replay_of_what_does_not_block_is_told_so(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), generation=2)
    assert await world.replay_in_place(fence, 7, entry) is Answer.STALE
    await world.ledger.flush([fence], [entry])
    assert await world.replay_in_place(fence, 7, entry) is Answer.SETTLED
    await own(world)
    assert await world.replay_in_place(fence, 7, entry) is Answer.FENCED


async def test_a_replay_turns_no_row_that_holds_nobody_up(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job())
    await world.record(fence, 7, entry, wait=QUEUED)
    second = an_entry(entry.job, generation=2)
    assert await world.replay_in_place(fence, 7, second) is Answer.STALE
    assert (await waiting_row(world, entry.job)).generation == 1


async def test_a_cancel_comes_before_the_record_was_seen_and_first_wins(world: World) -> None:
    await own(world)
    entry = an_entry(a_job(), b"cancelled")
    assert await world.cancel(entry) is Answer.DONE
    assert await world.cancel(entry) is Answer.SETTLED
    assert await world.transactions.begin(a_claim(entry.job)) is Answer.SETTLED


async def test_a_cancel_that_comes_after_the_end_changes_nothing(world: World) -> None:
    fence, entry = await own(world), an_entry(a_job(), b"complete")
    await world.ledger.flush([fence], [entry])
    assert await world.cancel(an_entry(entry.job, b"cancelled")) is Answer.SETTLED


async def test_a_cancel_makes_the_waiting_row_due_and_calls_its_owner(
    real: PostgresWorld,
) -> None:
    fence, entry = await own(real), an_entry(a_job())
    await real.record(fence, 7, entry, wait=RETRYING)
    async with real.handlers.connection() as connection:
        due = "SELECT due_at <= clock_timestamp() FROM jobs.waiting WHERE job = $1"
        assert await connection.fetchval(due, entry.job) is None
        await real.cancel(entry)
        assert await connection.fetchval(due, entry.job) is True


async def test_a_row_remembers_when_it_came_into_its_state(real: PostgresWorld) -> None:
    fence, entry = await own(real), an_entry(a_job())
    since = "SELECT since FROM jobs.waiting"
    async with real.handlers.connection() as connection:
        await real.record(fence, 7, entry, wait=Wait("h", holds=True))
        held = await connection.fetchval(since)
        await real.record(fence, 7, entry, 1, wait=Wait("h", holds=True))
        assert await connection.fetchval(since) == held
        await real.record(fence, 7, entry, 2, wait=Wait("r", holds=True))
        assert await connection.fetchval(since) > held


@pytest.mark.parametrize("function", ["record_v1", "replay_in_place_v1", "cancel_v1", "flush_v1"])
async def test_no_function_answers_from_a_snapshot_older_than_its_lock(
    real: PostgresWorld, function: str
) -> None:
    async with real.service.connection() as connection:
        source = await connection.fetchval(
            "SELECT prosrc FROM pg_proc WHERE proname = $1", function
        )
        assert "current_setting('transaction_isolation') <> 'read committed'" in source


async def test_the_head_of_an_entity_goes_before_more_urgent_jobs_that_wait(world: World) -> None:
    fence = await own(world)
    head, urgent = an_entry(a_job()), an_entry(a_job(), lane=Priority.CRITICAL)
    await world.record(fence, 7, head, wait=RETRYING)
    await world.record(fence, 7, urgent, wait=QUEUED)
    running = await begun(world, a_claim(head.job, revision=1))
    await running.rollback()
    late = a_claim(urgent.job, lane=Priority.CRITICAL, revision=1)
    assert await world.transactions.begin(late) is Answer.STALE
