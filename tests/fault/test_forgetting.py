"""What is left when a janitor, a pruner or a rebuild dies at any step?"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from processor.adapters.memory.step import onward
from processor.domain.errors import ConfigurationError, Unavailable
from processor.domain.events import Completed
from processor.domain.horizon import DAY
from processor.ports.ledger import Fault
from processor.ports.log import Place
from tests.fault.test_projector import Killed, Once
from tests.forgetting import Household
from tests.projecting import COMPLETED, FAILED, a_day, job, started

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from processor.adapters.memory.step import Step
    from projections.rebuild import Rebuilt

DAY_SECONDS = DAY / 1e6
AFTER = pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after it"])


async def a_full_house() -> Household:
    """Everything is done, and a job that ended ten days ago is still there."""
    house = Household()
    a_day(house.line)
    house.line.end(90, started(90), Completed(house.line.clock.now(), b"1"))
    await house.project()
    house.work()
    for number in range(20):
        house.settle(number)
    return house


async def finished(house: Household, work: Coroutine[object, object, object]) -> None:
    """Let time pass until it has ended; raises what it ended with."""
    running = asyncio.ensure_future(work)
    try:
        await house.line.until(running.done)
    finally:
        running.cancel()
    await running


def content(house: Household) -> tuple[object, ...]:
    return (
        {place: partition.start for place, partition in house.line.topics.partitions.items()},
        {place: dict(days) for place, days in house.horizon.items()},
        set(house.database.ledger),
        set(house.rows.history),
        dict(house.rows.live),
        dict(house.rows.letters),
    )


async def ten_days(house: Household, step: Step = onward) -> None:
    """A round of both each day; a death leaves the rest of the day to nobody."""
    for _ in range(11):
        with suppress(Killed):
            await finished(house, house.janitor(step).tidy())
            await finished(house, house.pruner(step).prune())
        house.offices.holders.clear()
        house.line.clock.advance(DAY_SECONDS)
    await finished(house, house.janitor().tidy())
    await finished(house, house.pruner().prune())


@AFTER
async def test_a_death_of_janitor_or_pruner_at_any_step_is_made_good_by_the_next(
    *, after: bool
) -> None:
    whole = await a_full_house()
    await ten_days(whole)
    struck = 0
    for at in range(1, 200):
        house = await a_full_house()
        once = Once(at, Killed(), after=after)
        await ten_days(house, once)
        if once.left > 0:
            break
        struck += 1
        expected, found = content(whole), content(house)
        # A day may be missing where the janitor died before he remembered it.
        assert found[0] == expected[0]
        assert found[2:] == expected[2:]
    assert struck > 60


async def rebuilt(house: Household, step: Step = onward) -> Rebuilt:
    found: list[Rebuilt] = []

    async def run() -> None:
        found.append(await house.rebuild(step).run())

    await finished(house, run())
    return found[0]


async def a_tidy_house() -> Household:
    """The same, with nothing in it that only waits to be pruned."""
    house = await a_full_house()
    await finished(house, house.pruner().prune())
    house.offices.holders.clear()
    return house


async def test_a_rebuild_of_what_is_right_finds_no_difference() -> None:
    house = await a_tidy_house()
    before = content(house)
    facts = house.line.values(house.line.names.dead_letters)
    answer = await rebuilt(house)
    assert (answer.comparison.different, answer.replaced) == (0, True)
    assert (answer.completed.copied, answer.completed.forgotten) == (0, 3)
    assert answer.comparison.rows == (len(house.rows.history) + len(house.rows.letters))
    assert content(house) == before
    assert house.line.values(house.line.names.dead_letters) == facts


async def test_a_rebuild_of_a_log_whose_start_was_cut_copies_what_reaches_back() -> None:
    house = await a_tidy_house()
    before = content(house)
    for place, partition in house.line.topics.partitions.items():
        house.line.topics.cut(place, partition.end - 1)
    answer = await rebuilt(house)
    assert (answer.comparison.different, answer.replaced) == (0, True)
    assert answer.completed.copied > 0
    assert content(house)[2:] == before[2:]


async def test_a_rebuild_names_what_differs_and_changes_nothing_unless_told() -> None:
    house = await a_tidy_house()
    key = next(key for key in house.rows.history if key[0] == job(3).bytes)
    lost = house.rows.history[key]
    house.rows.remove_row(lost)
    answer = await rebuilt(house)
    assert (answer.comparison.different, answer.replaced) == (1, False)
    (difference,) = answer.comparison.differences
    assert str(job(3)) in difference.row
    assert difference.what == "only the log tells of it"
    assert key not in house.rows.history
    forced: list[Rebuilt] = []

    async def run() -> None:
        forced.append(await house.rebuild().run(although_different=True))

    await finished(house, run())
    assert forced[0].replaced
    assert house.rows.history[key] == lost


@AFTER
@pytest.mark.parametrize("how", [Killed(), Fault("gone"), Unavailable("gone")])
async def test_a_rebuild_that_ends_at_any_step_leaves_the_tables_as_they_were(
    how: Exception, *, after: bool
) -> None:
    whole = await a_tidy_house()
    struck = 0
    for at in range(1, 400, 3):
        house = await a_tidy_house()
        once = Once(at, how, after=after)
        with suppress(Killed, Fault, Unavailable, ExceptionGroup):
            await rebuilt(house, once)
        if once.left > 0:
            break
        struck += 1
        assert content(house)[2:] == content(whole)[2:]
        house.offices.holders.clear()
        await rebuilt(house)
        assert content(house)[2:] == content(whole)[2:]
        assert not any(name.startswith("rebuild:") for name, _ in house.rows.checkpoints)
    assert struck > 5


async def test_a_rebuild_that_is_cancelled_leaves_nothing_behind() -> None:
    house = await a_tidy_house()
    before = content(house)
    reached = asyncio.Event()

    async def step(name: str) -> BaseException | None:
        if name == "rebuild.compare":
            reached.set()
            await asyncio.Event().wait()
        return await onward(name)

    running = asyncio.create_task(house.rebuild(step).run())
    await house.line.until(reached.is_set)
    assert any(name.startswith("rebuild:") for name, _ in house.rows.checkpoints)
    running.cancel()
    await house.line.until(running.done)
    assert running.cancelled()
    assert content(house) == before
    assert not any(name.startswith("rebuild:") for name, _ in house.rows.checkpoints)


async def test_a_second_rebuild_at_once_is_refused() -> None:
    house = await a_tidy_house()
    house.offices.holders["rebuild"] = object()
    with pytest.raises(ConfigurationError, match="another rebuild is under way"):
        await rebuilt(house)


async def test_a_rebuild_beside_projectors_at_work_loses_nothing() -> None:
    house = await a_tidy_house()
    projectors = house.line.projectors(house.rows)
    running = [asyncio.create_task(one.run()) for one in projectors]
    rebuilding = asyncio.create_task(house.rebuild().run())
    for number in range(200, 400):
        house.line.submit(number)
        house.line.end(number, started(number), COMPLETED if number % 3 else FAILED)
        await asyncio.sleep(0)
    await house.line.until(rebuilding.done)
    answer = await rebuilding
    assert (answer.comparison.different, answer.replaced) == (0, True)
    for number in range(400, 450):
        house.line.submit(number)
    await house.line.until(lambda: house.line.is_projected(house.rows))
    assert not any(one.standing_by for one in projectors)
    for one in projectors:
        one.stop()
    await house.line.until(lambda: all(task.done() for task in running))
    await asyncio.gather(*running)
    jobs = {int.from_bytes(row.job) for row in house.rows.history.values()}
    assert jobs >= set(range(200, 450))
    told = {int.from_bytes(row.job) for row in house.rows.letters.values()}
    assert told >= {number for number in range(200, 400) if number % 3 == 0}


async def test_the_janitor_waits_for_a_rebuild_and_cuts_when_it_has_gone() -> None:
    house = await a_tidy_house()
    events = house.line.names.events
    await ten_days(house)
    a_day(house.line)
    await house.project()
    house.work()
    starts = house.starts(events)
    for number, start in enumerate(starts):
        house.rows.checkpoints["rebuild:history", Place(events, number)] = start
    for _ in range(12):
        await finished(house, house.janitor().tidy())
        house.line.clock.advance(DAY_SECONDS)
    assert house.starts(events) == starts
    await finished(house, house.pruner().prune())  # nobody rebuilds: it was killed
    for _ in range(12):
        await finished(house, house.janitor().tidy())
        house.line.clock.advance(DAY_SECONDS)
    assert house.starts(events) == house.ends(events)
