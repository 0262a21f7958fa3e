"""Does the janitor forget what it may, when it may, and nothing else?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from processor.adapters.memory.step import Step, onward
from processor.domain.horizon import DAY
from processor.domain.priority import LANES, Priority
from processor.ports.ledger import Fault
from processor.ports.log import Append, Place
from processor.runtime.janitor import Tidied
from projections.history import NAME as HISTORY
from tests.forgetting import Household
from tests.projecting import FAILED, PARTITIONS, a_day, job, started

DAY_SECONDS = DAY / 1e6


async def a_round(house: Household) -> Tidied:
    """One round, with the time that it takes."""
    running = asyncio.create_task(house.janitor().tidy())
    await house.line.until(running.done)
    return await running


async def tidied(house: Household, janitor_days: int) -> None:
    """One round a day, the clock moving on after each."""
    for _ in range(janitor_days):
        await a_round(house)
        house.line.clock.advance(DAY_SECONDS)


async def a_house_where_all_is_done() -> Household:
    house = Household()
    a_day(house.line)
    await house.project()
    house.work()
    return house


async def test_the_log_is_cut_on_the_ninth_day_below_what_stood_on_the_first() -> None:
    house = await a_house_where_all_is_done()
    names = house.line.names
    await tidied(house, 9)
    assert house.starts(names.events) == [0] * PARTITIONS
    done = {topic: house.ends(topic) for topic in (*names.lanes, names.events)}
    for number in range(8):
        house.line.submit(number + 100)
    await tidied(house, 1)
    assert {topic: house.starts(topic) for topic in done} == done
    assert sum(house.starts(names.failed)) == 0


async def test_what_is_unread_is_not_cut_however_old_it_is() -> None:
    house = await a_house_where_all_is_done()
    lane = Place(house.line.names.lane(Priority.LOW), 1)
    owner = house.database.owners[1]
    house.database.owners[1] = replace(owner, positions=(*owner.positions[:3], 1))
    assert house.line.topics.partitions[lane].end > 1
    await tidied(house, 40)
    assert house.line.topics.partitions[lane].start == 1


async def test_the_cut_waits_for_every_projection_and_a_running_rebuild() -> None:
    house = await a_house_where_all_is_done()
    topic = house.line.names.events
    ends = house.ends(topic)
    first, second = (number for number, end in enumerate(ends) if end > 2)
    house.rows.checkpoints[HISTORY, Place(topic, first)] = 2
    house.rows.checkpoints["rebuild:history", Place(topic, second)] = 1
    await tidied(house, 40)
    assert house.starts(topic) == [
        {first: 2, second: 1}.get(one, end) for one, end in enumerate(ends)
    ]


async def test_without_a_projector_nothing_is_ever_cut() -> None:
    house = Household()
    a_day(house.line)
    house.work()
    await tidied(house, 40)
    assert all(partition.start == 0 for partition in house.line.topics.partitions.values())


async def test_the_dead_letter_topic_is_cut_below_its_oldest_open_letter() -> None:
    house = Household()
    for number in range(30):
        house.line.end(number, started(number), FAILED)
    await house.project()
    house.work()
    topic = house.line.names.dead_letters
    kept = house.rows.letters[job(7).bytes, 1]
    for key, row in list(house.rows.letters.items()):
        if row is not kept:
            del house.rows.letters[key]
    await tidied(house, 10)
    expected = house.ends(topic)
    expected[kept.partition] = kept.first_fact
    assert house.starts(topic) == expected


async def test_days_of_no_more_use_are_dropped() -> None:
    house = await a_house_where_all_is_done()
    await tidied(house, 40)
    assert house.horizon
    assert all(len(days) <= 10 for days in house.horizon.values())


async def test_a_log_that_lost_records_is_left_to_those_who_read_it() -> None:
    house = await a_house_where_all_is_done()
    place = Place(house.line.names.events, 1)
    await tidied(house, 9)
    house.line.topics.lose(place, 1)
    await tidied(house, 1)
    assert house.line.topics.partitions[place].start == 0


async def test_a_row_of_the_ledger_goes_seven_days_after_its_end_and_not_before() -> None:
    house = Household()
    house.settle(1)
    house.line.clock.advance(7 * DAY_SECONDS)
    assert (await a_round(house)).pruned == 0
    house.line.clock.advance(1)
    assert (await a_round(house)).pruned == 1
    assert not house.database.ledger


async def test_a_row_stays_while_a_record_of_its_partition_from_before_its_end_is_unread() -> None:
    house = Household()
    house.line.clock.advance(DAY_SECONDS)
    partition = 0
    place = Place(house.line.names.lane(Priority.LOW), partition)
    house.line.topics.append(Append(place, b"k", b"unread"))
    house.line.clock.advance(DAY_SECONDS)
    house.settle(1, partition)  # executed through a duplicate in another lane
    house.settle(2, 1)
    house.line.clock.advance(10 * DAY_SECONDS)
    assert (await a_round(house)).pruned == 1
    assert [key[0] for key in house.database.ledger] == [job(1)]
    house.work()
    assert (await a_round(house)).pruned == 1


async def test_a_duplicate_from_within_the_seven_days_is_known_whenever_it_is_read() -> None:
    house = Household()
    house.settle(1)
    house.line.clock.advance(6 * DAY_SECONDS)
    place = Place(house.line.names.lane(Priority.LOW), 0)
    house.line.topics.append(Append(place, b"k", b"the same job again"))
    house.line.clock.advance(90 * DAY_SECONDS)
    assert (await a_round(house)).pruned == 0
    house.work()
    assert (await a_round(house)).pruned == 1


async def test_many_rows_go_in_batches_with_pauses_between() -> None:
    house = Household()
    for number in range(5_000):
        house.settle(number)
    house.line.clock.advance(8 * DAY_SECONDS)
    assert (await a_round(house)).pruned == 5_000


async def test_of_two_janitors_one_tidies_and_a_fault_is_outlived() -> None:
    house = await a_house_where_all_is_done()
    faults = 3
    tidying: dict[str, int] = {"one": 0, "other": 0}

    def step(name: str) -> Step:
        async def stepped(call: str) -> BaseException | None:
            nonlocal faults
            await onward(call)
            if call == "horizon.remember":
                tidying[name] += 1
                if faults:
                    faults -= 1
                    raise Fault("gone")
            return None

        return stepped

    running = [asyncio.create_task(house.janitor(step(name)).run()) for name in tidying]
    await house.line.until(lambda: max(tidying.values()) >= 6)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert min(tidying.values()) == 0
    assert {len(days) for days in house.horizon.values()} == {1}
    assert len(LANES) * PARTITIONS + 2 * PARTITIONS == len(house.horizon)
