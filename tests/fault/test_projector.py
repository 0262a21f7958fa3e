"""What is left of a projection when its projector dies, and when there are two?"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.step import onward
from processor.domain.errors import Unavailable
from processor.domain.job import State
from processor.ports.ledger import Fault
from processor.ports.log import LogCut, LogFailure
from processor.ports.projection import Closing
from projections.history import FoldedHistory
from projections.projection import aside
from tests.projecting import FOREIGN, Line, a_day, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.adapters.memory.step import Step
    from projections.projector import Projector


class Killed(Exception):  # noqa: N818 - names what happened
    """The process is gone."""


class Once:
    """Steps in at the n-th round trip of a process, before its effect or after it."""

    def __init__(self, at: int, error: Exception, *, after: bool) -> None:
        self.left = at
        self.error = error
        self.after = after

    async def __call__(self, name: str) -> BaseException | None:
        await onward(name)
        self.left -= 1
        if self.left == 0:
            if self.after:
                return self.error
            raise self.error
        return None


async def run(
    line: Line,
    store: MemoryProjections,
    step: Step = onward,
    reached: Callable[[], bool] = lambda: True,
) -> None:
    """Two projectors as one process, until everything is projected or one of them is dead."""
    store.step = step
    projectors = line.projectors(store, step)
    running = [asyncio.create_task(one.run()) for one in projectors]
    try:
        await line.until(
            lambda: (line.is_projected(store) and reached()) or any(task.done() for task in running)
        )
        if any(task.done() for task in running):
            for task in running:
                task.cancel()  # the process is gone with everything in it
        for one in projectors:
            one.stop()
        await line.until(lambda: all(task.done() for task in running))
    finally:
        for answer in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(answer, Exception):
                raise answer


def content(store: MemoryProjections) -> tuple[object, ...]:
    """But for where the letters' facts stand: a death leaves copies of them."""
    letters = {key: row._replace(first_fact=0, last_fact=0) for key, row in store.letters.items()}
    return (store.history, store.live, letters, store.aside)


async def undisturbed() -> tuple[Line, MemoryProjections]:
    line, store = Line(), MemoryProjections()
    a_day(line)
    await run(line, store)
    return line, store


async def test_a_day_is_projected_into_rows_that_tell_each_jobs_life() -> None:
    line, store = await undisturbed()
    history = FoldedHistory(store, line.codec)
    found = [await history.status(job(number)) for number in range(9)]
    assert [one.state if one else None for one in found] == [
        State.COMPLETE,
        State.COMPLETE,
        State.FAILED,
        State.FAILED,
        State.PROCESSING,
        State.COMPLETE,
        State.QUEUED,
        State.QUEUED,
        None,
    ]
    assert [one.generation for one in found if one] == [1, 2, 1, 1, 1, 1, 1, 1]
    closed = {row.job: row.closed for row in store.letters.values()}
    assert closed == {
        job(1).bytes: Closing.REPLAYED,
        job(2).bytes: Closing.DISCARDED,
        job(3).bytes: None,
        job(5).bytes: None,
    }
    assert {row.body for row in store.aside.values()} == {FOREIGN, b""}
    facts = Counter(line.values(line.names.dead_letters))
    assert [*facts.values()] == [1] * 6


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_death_at_any_step_loses_nothing_and_makes_nothing_twice(*, after: bool) -> None:
    whole, expected = await undisturbed()
    facts = set(whole.values(whole.names.dead_letters))
    deaths = 0
    for at in range(1, 500):
        line, store = Line(), MemoryProjections()
        a_day(line)
        try:
            await run(line, store, Once(at, Killed(), after=after))
        except Killed:
            deaths += 1
        else:
            break
        await run(line, store)
        assert content(store) == content(expected)
        assert set(line.values(line.names.dead_letters)) == facts
    assert deaths > 20


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("fault", [Fault("gone"), Unavailable("gone"), LogFailure("gone")])
async def test_a_fault_of_broker_or_database_is_survived_at_any_step(
    fault: Exception, *, after: bool
) -> None:
    _, expected = await undisturbed()
    for at in range(1, 40):
        line, store = Line(), MemoryProjections()
        a_day(line)
        await run(line, store, Once(at, fault, after=after))
        assert content(store) == content(expected)


async def test_a_fact_is_acknowledged_before_the_checkpoint_passes_its_record() -> None:
    line, store = Line(), MemoryProjections()
    a_day(line)

    async def away(name: str) -> BaseException | None:
        await onward(name)
        if name == "log.append":
            raise LogFailure("the broker does not answer")
        return None

    first, _ = line.projectors(store, away)
    running = asyncio.create_task(first.run())
    await line.until(lambda: line.clock.next_due() is not None and first.projected > 0)
    first.stop()
    await line.until(running.done)
    events = {place: at for (_, place), at in store.checkpoints.items() if "events" in place.topic}
    assert not store.letters
    assert line.values(line.names.dead_letters) == []
    told = {place for place, at in events.items() if at < line.topics.partitions[place].end}
    assert told


async def test_a_second_projector_stands_by_and_takes_over_from_a_dead_one() -> None:
    line, store = Line(), MemoryProjections()
    one, other = line.projectors(store)[0], line.projectors(store)[0]
    running = {one: asyncio.create_task(one.run()), other: asyncio.create_task(other.run())}
    for number in range(30):
        line.submit(number)
    await line.until(lambda: len(store.history) == 30)
    await line.until(lambda: one.standing_by or other.standing_by)
    active, idle = (other, one) if one.standing_by else (one, other)
    running[active].cancel()
    for number in range(30, 60):
        line.submit(number)
    await line.until(lambda: len(store.history) == 60)
    assert idle.projected > 20
    idle.stop()
    await line.until(running[idle].done)
    await running[idle]


@pytest.mark.parametrize("kept", [True, False], ids=["to a checkpoint", "to before there was one"])
async def test_what_a_restored_database_lost_is_folded_again_though_nothing_new_comes(
    *, kept: bool
) -> None:
    line, store = Line(), MemoryProjections()
    line.submit(1)
    async with line.projectors(store)[0] as projector:
        await line.until(lambda: projector.projected == 1)
        earlier = store.copied() if kept else MemoryProjections()
        line.submit(2)
        await line.until(lambda: projector.projected == 2)
        whole = content(store)
        store.go_back(earlier)
        await line.until(lambda: content(store) == whole)


async def test_a_log_that_was_cut_above_the_checkpoint_stops_the_projector() -> None:
    line, store = await undisturbed()
    for number in range(8):
        line.submit(number)
    full = next(
        place
        for place, partition in line.topics.partitions.items()
        if partition.end > store.checkpoints.get(("history", place), partition.end)
    )
    line.topics.cut(full, line.topics.partitions[full].end)
    with pytest.raises(LogCut, match="holds offsets"):
        await run(line, store)


async def test_what_was_kept_aside_is_folded_once_it_can_be_decoded() -> None:
    line, store = Line(), MemoryProjections()
    a_day(line)
    await run(line, store)
    never = dict(store.aside)
    expected = content(store)[:3]
    later, behind = Line(), MemoryProjections()
    a_day(later)
    keep_aside(later, behind)
    assert not behind.history
    await run(later, behind, reached=lambda: behind.aside == never)
    assert content(behind)[:3] == expected


def keep_aside(line: Line, store: MemoryProjections) -> None:
    """As a projector of an older release leaves it that knows no schema of today."""
    for place, partition in line.topics.partitions.items():
        for record in partition.records:
            row = aside(place, record)
            store.aside[row[:3]] = row
    for projector in line.projectors(store):
        for place in projector.projection.places:
            end = line.topics.partitions[place].end
            store.checkpoints[projector.projection.name, place] = end


async def test_a_projector_ends_soon_although_the_broker_never_answers() -> None:
    line, store = Line(), MemoryProjections()
    a_day(line)
    asked = asyncio.Event()

    async def silent(name: str) -> BaseException | None:
        if name == "log.append":
            asked.set()
            await asyncio.Event().wait()
        return await onward(name)

    projector: Projector = line.projectors(store, silent)[0]
    async with projector:
        await line.until(asked.is_set)
    assert not store.letters


async def test_the_lag_is_what_the_log_holds_beyond_the_checkpoints() -> None:
    line, store = Line(), MemoryProjections()
    projector = line.projectors(store)[0]
    assert await projector.lag() is None
    async with projector:
        line.submit(1)
        await line.until(lambda: projector.projected == 1)
        assert await projector.lag() == 0
        line.submit(2)
        assert await projector.lag() == 1


async def test_a_block_around_a_projector_ends_when_the_log_was_cut() -> None:
    line, store = Line(), MemoryProjections()
    projector = line.projectors(store)[0]

    async def block() -> None:
        async with projector:
            line.submit(1)
            await line.until(lambda: projector.projected == 1)
            for place, at in {at[1]: to for at, to in store.checkpoints.items()}.items():
                if at:
                    line.topics.lose(place, 0)
            await asyncio.Event().wait()

    running = asyncio.create_task(block())
    await line.until(running.done)
    failure = running.exception()
    assert isinstance(failure, ExceptionGroup)
    assert failure.subgroup(LogCut) is not None
    assert not running.cancelling()
