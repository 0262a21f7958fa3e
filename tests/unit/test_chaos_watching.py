"""When has a process grown, and when does a backlog?"""

from __future__ import annotations

import os

from processor.chaos.watching import Size, growth_of, is_bounded, resident

MEGABYTE = 1024 * 1024


def sizes(*megabytes: float, every: float = 60.0) -> list[Size]:
    return [Size(at * every, round(one * MEGABYTE)) for at, one in enumerate(megabytes)]


def test_what_a_process_takes_while_it_warms_up_is_no_growth() -> None:
    growth = growth_of("worker", sizes(20, 80, 95, 98, 99, 100, *[100] * 20, *[105] * 10))
    assert growth is not None
    assert growth.is_bounded
    assert (growth.warm, growth.most) == (100 * MEGABYTE, 105 * MEGABYTE)


def test_more_than_a_tenth_over_a_minute_is_growth_and_one_peak_is_not() -> None:
    growing = growth_of("worker", sizes(*[100] * 30, *[111] * 30))
    peak = growth_of("worker", sizes(*[100] * 40, 300, *[100] * 40))
    assert growing is not None
    assert peak is not None
    assert not growing.is_bounded
    assert peak.is_bounded


def test_of_too_few_samples_nothing_is_told() -> None:
    assert growth_of("worker", []) is None
    assert growth_of("worker", sizes(1, 2, 3)) is None


def test_a_backlog_that_grows_all_the_time_is_not_bounded() -> None:
    assert is_bounded([5_000, 100, 900, 100, 100, 1_000], 0)
    assert not is_bounded(list(range(0, 900, 10)), 0)
    assert not is_bounded([100, 100, 100, 100, 300, 500], 0)
    assert is_bounded([100, 100, 100, 100, 300, 500], 100)
    assert is_bounded([], 0)


def test_the_memory_of_a_process_is_told_and_none_of_one_that_is_gone() -> None:
    assert resident(os.getpid()) > MEGABYTE
    assert resident(2**22 + 1) == 0
