"""Do memory and PostgreSQL hold the same against the records of a partition whose owners died?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from processor.domain.priority import Priority
from processor.domain.quarantine import Suspect
from processor.ports.ledger import Answer
from processor.ports.ownership import Fence, Move, Owner
from processor.ports.suspects import Mark
from processor.ports.waiting_room import Wait, WaitingState
from tests.contract.rooms import FAR, a_wait, over
from tests.contract.test_ownership import blocked
from tests.contract.worlds import PostgresWorld, World, an_id, owner

START = (0, 0, 0, 0)
HIGH, NORMAL = Priority.HIGH, Priority.NORMAL


@dataclass
class Owning:
    """One worker that owns the partition, and its heirs."""

    world: World
    worker: UUID
    fence: Fence

    @classmethod
    async def begin(cls, world: World) -> Owning:
        first = cls(world, an_id(), Fence(0, an_id()))
        await first.take(unclean=False)
        return first

    async def take(self, *, unclean: bool, worker: UUID | None = None) -> Owner:
        self.worker, self.fence = worker or an_id(), Fence(0, an_id())
        await self.world.workers.join(self.worker, "1.0", [])
        taken = await self.world.ownership.take(
            await owner(self.world), self.fence.token, self.worker, unclean=unclean
        )
        assert taken is not None
        return taken

    async def died(self) -> Owner:
        """The owner is dead: what its heir finds."""
        return await self.take(unclean=True)

    async def mark(
        self,
        offset: int = 5,
        lane: Priority = NORMAL,
        *,
        alone: bool = True,
        decoding: bool = False,
    ) -> Mark:
        mark = Mark(self.worker, lane, offset, alone, decoding)
        assert await self.world.suspects.mark(self.fence, mark)
        return mark


@pytest.fixture
async def owning(world: World) -> Owning:
    return await Owning.begin(world)


async def test_a_death_counts_against_the_one_suspect_each_time(owning: Owning) -> None:
    for deaths, decoding in enumerate([0, 1, 1, 2, 2], 1):
        await owning.mark(5, decoding=deaths in (2, 4))
        found = await owning.died()
        assert found.suspects == (Suspect(NORMAL, 5, deaths, decoding),)
        assert found.unclean == deaths


async def test_a_mark_that_was_not_its_workers_one_suspect_only_makes_it_one(
    owning: Owning,
) -> None:
    await owning.mark(7, alone=False)
    await owning.mark(5, HIGH, alone=False)
    assert (await owning.died()).suspects == (Suspect(HIGH, 5), Suspect(NORMAL, 7))


async def test_what_was_cleared_is_no_suspect_and_keeps_the_deaths_it_had(owning: Owning) -> None:
    mark = await owning.mark(5)
    await owning.died()
    await owning.world.suspects.clear(0, await owning.mark(5))
    await owning.world.suspects.clear(0, await owning.mark(6))
    assert (await owning.died()).suspects == (Suspect(NORMAL, 5, 1),)
    await owning.world.suspects.clear(0, mark, forget=True)
    assert (await owning.died()).suspects == ()


async def test_a_dead_workers_mark_is_cleared_by_nobody_else(owning: Owning) -> None:
    await owning.mark(5)
    await owning.mark(6, alone=False)
    await owning.died()
    for offset in (5, 6):
        await owning.world.suspects.clear(0, Mark(an_id(), NORMAL, offset, alone=True))
    await owning.mark(5)
    assert (await owning.died()).suspects == (Suspect(NORMAL, 5, 2), Suspect(NORMAL, 6))


async def test_who_was_fenced_marks_nothing_and_notes_nothing(owning: Owning) -> None:
    old, worker = owning.fence, owning.worker
    await owning.take(unclean=False)
    suspects = owning.world.suspects
    assert not await suspects.mark(old, Mark(worker, NORMAL, 5, alone=True))
    assert not await suspects.reach(old, (1, 1, 1, 1))
    assert not await suspects.calm(old)
    found = await owning.died()
    assert (found.suspects, found.suspect_until) == ((), None)


async def test_a_death_after_the_signal_to_stop_counts_against_nobody(owning: Owning) -> None:
    await owning.mark(5)
    await owning.world.workers.leave(owning.worker)
    found = await owning.died()
    assert (found.unclean, found.suspects) == (0, ())
    await owning.mark(5)
    await owning.died()
    await owning.mark(5)
    await owning.world.workers.leave(owning.worker)
    found = await owning.died()
    assert (found.unclean, found.suspects) == (1, (Suspect(NORMAL, 5, 1),))


async def test_a_mark_that_its_worker_could_not_clear_counts_no_later_death(
    owning: Owning,
) -> None:
    await owning.mark(5)
    await owning.died()
    await owning.mark(5)
    await owning.take(unclean=False, worker=owning.worker)
    found = await owning.died()
    assert (found.unclean, found.suspects) == (2, (Suspect(NORMAL, 5, 1),))


async def test_a_mark_in_a_partition_that_was_released_meanwhile_counts_no_death(
    owning: Owning,
) -> None:
    await owning.mark(5)
    seen = await owner(owning.world)
    assert await owning.world.ownership.release(Move(owning.fence, START, START))
    taken = await owning.world.ownership.take(seen, an_id(), an_id(), unclean=True)
    assert taken is not None
    assert (taken.unclean, taken.suspects) == (0, ())


async def test_deaths_count_in_their_own_partition(owning: Owning) -> None:
    await owning.mark(5)
    seen = (await owning.world.ownership.owners([1]))[1]
    other = await owning.world.ownership.take(seen, an_id(), owning.worker, unclean=False)
    assert other is not None
    taken = await owning.world.ownership.take(other, an_id(), an_id(), unclean=True)
    assert taken is not None
    assert (taken.unclean, taken.suspects) == (1, ())
    assert (await owning.died()).suspects == (Suspect(NORMAL, 5, 1),)


async def test_how_far_was_read_only_grows_and_outlives_its_owner(owning: Owning) -> None:
    suspects = owning.world.suspects
    assert (await owner(owning.world)).suspect_until is None
    for reached in ((1, 0, 7, 0), (0, 5, 6, 0), (0, 0, 0, 2)):
        assert await suspects.reach(owning.fence, reached)
    assert (await owner(owning.world)).suspect_until == (1, 5, 7, 2)
    assert (await owning.died()).suspect_until == (1, 5, 7, 2)
    assert (await owning.take(unclean=False)).suspect_until == (1, 5, 7, 2)


async def test_a_calm_partition_is_as_if_nobody_had_died(owning: Owning) -> None:
    await owning.mark(5)
    await owning.died()
    await owning.mark(6, alone=False)
    await owning.world.suspects.reach(owning.fence, (1, 2, 3, 4))
    assert await owning.world.suspects.calm(owning.fence)
    stands = await owner(owning.world)
    assert (stands.unclean, stands.suspect_until) == (0, None)
    found = await owning.died()
    assert (found.unclean, found.suspects) == (1, ())


def may_run() -> Sequence[Wait]:
    return (
        a_wait(WaitingState.RETRYING, due_in=0.0),
        a_wait(WaitingState.RUNNING, due_in=0.0),
        a_wait(WaitingState.QUEUED),
        a_wait(WaitingState.SCHEDULED, due_in=0.0),
    )


def may_not_run() -> Sequence[Wait]:
    return (
        a_wait(WaitingState.RETRYING, due_in=FAR),
        a_wait(WaitingState.SCHEDULED, due_in=FAR),
        a_wait(WaitingState.HELD, due_in=0.0),
        a_wait(WaitingState.BLOCKING),
    )


@pytest.mark.parametrize("wait", may_run(), ids=lambda wait: wait.state.name.lower())
async def test_it_is_not_calm_while_a_row_of_before_may_run(owning: Owning, wait: Wait) -> None:
    room = over(owning.world).room
    assert await room.record(owning.fence, wait, 0) is Answer.DONE
    assert await owning.world.suspects.calm(owning.fence), "its own rows were there at no death"
    await owning.died()
    assert not await owning.world.suspects.calm(owning.fence)
    assert await room.record(owning.fence, wait, 1) is Answer.DONE
    assert await owning.world.suspects.calm(owning.fence), "it was written anew"


@pytest.mark.parametrize("wait", may_not_run(), ids=lambda wait: wait.state.name.lower())
async def test_rows_that_cannot_run_disturb_no_calm(owning: Owning, wait: Wait) -> None:
    room = over(owning.world).room
    assert await room.record(owning.fence, wait, 0) is Answer.DONE
    behind = replace(a_wait(WaitingState.QUEUED, place=101), entity_key=wait.entity_key)
    if wait.holds:
        assert await room.record(owning.fence, behind, 0) is Answer.DONE
    await owning.died()
    assert await owning.world.suspects.calm(owning.fence)


async def test_marks_wait_for_a_take_over_and_find_themselves_fenced(real: PostgresWorld) -> None:
    owning = await Owning.begin(real)
    mark = Mark(owning.worker, NORMAL, 5, alone=True)
    async with real.handlers.connection() as taking:
        await taking.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        await taking.execute("UPDATE jobs.ownership SET token = $1 WHERE partition = 0", an_id())
        marking = asyncio.create_task(real.suspects.mark(owning.fence, mark))
        await blocked(real, 1)
        await taking.execute("COMMIT")
        assert not await marking


async def test_of_two_heirs_of_one_dead_worker_one_counts_its_death(real: PostgresWorld) -> None:
    owning = await Owning.begin(real)
    await owning.mark(5)
    seen = await owner(real)
    heirs = [real.ownership.take(seen, an_id(), an_id(), unclean=True) for _ in range(4)]
    (taken,) = [one for one in await asyncio.gather(*heirs) if one is not None]
    assert (taken.unclean, taken.suspects) == (1, (Suspect(NORMAL, 5, 1),))
