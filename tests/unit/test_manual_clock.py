"""Does time pass only when a test moves it?"""

from __future__ import annotations

import asyncio

from processor.adapters.memory.clock import ManualClock


async def sleeping(
    clock: ManualClock, *times: float
) -> tuple[list[float], list[asyncio.Task[None]]]:
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in times]
    await asyncio.sleep(0)
    return woken, tasks


async def test_sleepers_wake_in_the_order_of_their_times_and_not_before() -> None:
    clock = ManualClock()
    woken, tasks = await sleeping(clock, 3.0, 1.0, 2.0)
    assert clock.next_due() == 1.0
    clock.advance(0.999)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(1.5)
    await asyncio.gather(tasks[1], tasks[2])
    assert woken == [1.0, 2.0]
    assert clock.next_due() == 0.501
    clock.advance(0.501)
    await asyncio.gather(*tasks)
    assert clock.next_due() is None


async def test_a_sleeper_that_was_cancelled_is_not_waited_for() -> None:
    clock = ManualClock()
    _, [task] = await sleeping(clock, 1.0)
    task.cancel()
    await asyncio.wait([task])
    assert clock.next_due() is None
    clock.advance(2.0)


async def test_the_wall_clock_jumps_while_no_time_passes() -> None:
    clock = ManualClock(5_000_000)
    clock.jump(-2.0)
    assert (clock.now(), clock.monotonic()) == (3_000_000, 0.0)
    clock.advance(1.0)
    assert (clock.now(), clock.monotonic()) == (4_000_000, 1.0)


async def test_a_sleep_of_nothing_lets_others_run() -> None:
    clock = ManualClock()
    woken, [task] = await sleeping(clock, 0.0)
    assert woken == []
    await task
    assert woken == [0.0]
