"""Does the pruner forget jobs that are over, when they are, and nothing else?"""

from __future__ import annotations

import asyncio

from processor.adapters.memory.step import Step, onward
from processor.domain.events import Completed, Discarded, Failed, Reason
from processor.domain.horizon import DAY
from processor.ports.log import Place
from projections.pruner import Pruned
from tests.forgetting import Household
from tests.projecting import ERROR, PARTITIONS, a_day, job, started

DAY_SECONDS = DAY / 1e6


def ended_now(house: Household) -> Completed:
    return Completed(house.line.clock.now(), b"1")


def failed_now(house: Household) -> Failed:
    return Failed(house.line.clock.now(), 1, Reason.REJECTED, ERROR)


async def pruned(house: Household) -> Pruned:
    running = asyncio.create_task(house.pruner().prune())
    await house.line.until(running.done)
    return await running


def left(house: Household) -> list[int]:
    """The jobs that the history knows."""
    return sorted({int.from_bytes(row.job) for row in house.rows.history.values()})


async def test_a_history_goes_seven_days_after_the_end_and_not_before() -> None:
    house = Household()
    house.line.submit(1)
    house.line.submit(2)
    house.line.end(1, started(1), ended_now(house))
    await house.project()
    house.line.clock.advance(7 * DAY_SECONDS - (house.line.clock.monotonic() % DAY_SECONDS))
    assert (await pruned(house)).rows == 0
    house.line.clock.advance(DAY_SECONDS)
    assert (await pruned(house)).rows == 2
    assert left(house) == [2]


async def test_an_open_letter_keeps_its_history_and_the_seven_days_run_anew() -> None:
    house = Household()
    house.line.submit(1)
    house.line.end(1, started(1), failed_now(house))
    await house.project()
    house.line.clock.advance(20 * DAY_SECONDS)
    assert (await pruned(house)).rows == 0
    house.line.submit(1, 2)
    house.line.end(1, started(1), ended_now(house), generation=2)
    await house.project()
    house.line.clock.advance(6 * DAY_SECONDS)
    assert (await pruned(house)).rows == 0
    house.line.clock.advance(2 * DAY_SECONDS)
    assert (await pruned(house)).rows == 4
    assert left(house) == []


async def test_a_discard_ends_a_letter_and_begins_the_seven_days() -> None:
    house = Household()
    house.line.submit(1)
    house.line.end(1, started(1), failed_now(house))
    house.line.clock.advance(20 * DAY_SECONDS)
    house.line.end(1, Discarded(house.line.clock.now(), "ann", "old"), generation=2)
    await house.project()
    assert (await pruned(house)).rows == 0
    house.line.clock.advance(8 * DAY_SECONDS)
    assert (await pruned(house)).rows == 3


async def test_nothing_goes_while_the_letters_are_not_folded_so_far() -> None:
    house = Household()
    house.line.submit(1)
    house.line.end(1, started(1), failed_now(house))
    await house.project()
    # The fact is in the topic, its letter is not in the table.
    house.rows.letters.clear()
    place = next(one for one in house.letters if house.line.topics.partitions[one].end)
    house.rows.checkpoints["dead-letters", place] = 0
    house.line.clock.advance(20 * DAY_SECONDS)
    answer = await pruned(house)
    assert (answer.rows, answer.whole) == (0, False)
    assert left(house) == [1]


async def test_nothing_goes_while_a_rebuild_is_under_way() -> None:
    house = Household()
    house.line.end(1, started(1), ended_now(house))
    await house.project()
    house.line.clock.advance(20 * DAY_SECONDS)
    house.rows.checkpoints["rebuild:history", Place("jobs.events", 0)] = 0
    house.offices.holders["rebuild"] = object()
    answer = await pruned(house)
    assert (answer.rows, answer.whole) == (0, False)
    # Who rebuilt was killed: what he left behind is cleared away.
    del house.offices.holders["rebuild"]
    answer = await pruned(house)
    assert (answer.rows, answer.whole) == (1, True)
    assert not any(name.startswith("rebuild:") for name, _ in house.rows.checkpoints)
    assert "rebuild" not in house.offices.holders


async def test_live_rows_of_ended_jobs_go_and_those_of_running_ones_stay() -> None:
    house = Household()
    a_day(house.line)
    await house.project()
    assert {int.from_bytes(one) for one in house.rows.live} == {0, 4}
    await pruned(house)
    assert {int.from_bytes(one) for one in house.rows.live} == {4}


async def test_a_closed_letter_lives_as_long_as_its_facts() -> None:
    house = Household()
    a_day(house.line)
    await house.project()
    assert (await pruned(house)).letters == 0
    for place in house.letters:
        house.line.topics.cut(place, house.line.topics.partitions[place].end)
    assert (await pruned(house)).letters == 2
    assert {int.from_bytes(one.job) for one in house.rows.letters.values()} == {3, 5}
    assert len(house.letters) == PARTITIONS


async def test_of_two_pruners_one_works_round_after_round() -> None:
    house = Household()
    house.line.end(1, started(1), ended_now(house))
    await house.project()
    rounds = {"one": 0, "other": 0}

    def step(name: str) -> Step:
        async def stepped(call: str) -> BaseException | None:
            rounds[name] += call == "pruning.letters"
            return await onward(call)

        return stepped

    running = [asyncio.create_task(house.pruner(step(name)).run()) for name in rounds]
    await house.line.until(lambda: max(rounds.values()) >= 3)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert min(rounds.values()) == 0
    assert job(1).bytes in {row.job for row in house.rows.history.values()}
