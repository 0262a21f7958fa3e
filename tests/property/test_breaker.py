"""Is the rule by which a breaker holds its type total, and does it hold what it should?"""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.breaker import (
    NOTHING,
    Breaker,
    Trend,
    after,
    verdict,
    wait_after,
)
from processor.domain.errors import ConfigurationError
from processor.domain.ids import JobId

breakers = st.builds(
    Breaker,
    run=st.integers(1, 12),
    ratio=st.floats(0.01, 1),
    of=st.integers(1, 30),
    wait=st.floats(0.001, 10),
    longest=st.floats(10, 1_000),
)
results = st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=120)


def a_job(number: int) -> JobId:
    return JobId(UUID(int=number))


def trend_of(breaker: Breaker, history: list[tuple[int, bool]]) -> Trend:
    trend = NOTHING
    for number, failed in history:
        trend = after(trend, breaker, a_job(number), failed=failed)
    return trend


@given(breakers, results)
def test_what_is_remembered_is_bounded_begins_with_a_failure_and_names_a_job_once(
    breaker: Breaker, history: list[tuple[int, bool]]
) -> None:
    trend = trend_of(breaker, history)
    assert len(trend.results) <= breaker.of
    assert not trend.results or trend.results[0][1]
    jobs = [job for job, _ in trend.results]
    assert len(set(jobs)) == len(jobs)
    latest = {a_job(number): failed for number, failed in history}
    assert all(latest[job] is failed for job, failed in trend.results)


@given(breakers, st.lists(st.integers(0, 20), max_size=60))
def test_nothing_is_remembered_of_a_type_that_works(breaker: Breaker, jobs: list[int]) -> None:
    assert trend_of(breaker, [(number, False) for number in jobs]) == NOTHING
    assert verdict(NOTHING, breaker) is None


@given(breakers, results)
def test_a_type_is_held_exactly_by_a_run_or_by_a_share_of_as_many_as_count(
    breaker: Breaker, history: list[tuple[int, bool]]
) -> None:
    trend = trend_of(breaker, history)
    failures = [failed for _, failed in trend.results]
    row = 0
    while row < len(failures) and failures[-1 - row]:
        row += 1
    by_share = len(failures) == breaker.of and sum(failures) / breaker.of >= breaker.ratio
    assert (verdict(trend, breaker) is not None) is (row >= breaker.run or by_share)


@given(breakers, results)
def test_so_many_jobs_that_fail_hold_it_whatever_was_before(
    breaker: Breaker, history: list[tuple[int, bool]]
) -> None:
    trend = trend_of(breaker, history)
    for number in range(min(breaker.run, breaker.of)):
        trend = after(trend, breaker, a_job(100 + number), failed=True)
    assert verdict(trend, breaker) is not None


@given(breakers, st.integers(2, 50))
def test_one_job_alone_counts_once_however_often_it_fails(breaker: Breaker, times: int) -> None:
    trend = trend_of(breaker, [(1, True)] * times)
    assert trend.failed_in_a_row == trend.failed == 1


@given(breakers, results)
def test_many_successes_make_everything_forgotten(
    breaker: Breaker, history: list[tuple[int, bool]]
) -> None:
    trend = trend_of(breaker, history)
    for number in range(breaker.of):
        trend = after(trend, breaker, a_job(100 + number), failed=False)
    assert trend == NOTHING


@given(breakers, st.integers(0, 10_000))
def test_the_wait_grows_and_is_bounded(breaker: Breaker, failed: int) -> None:
    wait, next_one = wait_after(breaker, failed), wait_after(breaker, failed + 1)
    assert min(breaker.wait, breaker.longest) <= wait <= next_one <= breaker.longest


def test_the_verdict_says_why() -> None:
    breaker = Breaker(run=2, ratio=0.5, of=4)
    assert verdict(trend_of(breaker, [(1, True)]), breaker) is None
    assert verdict(trend_of(breaker, [(1, True), (2, True)]), breaker) == (
        "2 jobs failed one after the other"
    )
    mixed = [(1, True), (2, False), (3, True), (4, False)]
    assert verdict(trend_of(breaker, mixed), breaker) == "2 of 4 jobs failed"
    waits = [wait_after(Breaker(), failed) for failed in range(8)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": 0},
        {"of": 0},
        {"ratio": 0.0},
        {"ratio": 1.1},
        {"ratio": float("nan")},
        {"wait": 0.0},
        {"wait": 400.0},
        {"longest": float("inf")},
        {"longest": float("nan")},
    ],
)
def test_a_breaker_that_would_hold_always_or_for_ever_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="a breaker needs"):
        Breaker(**wrong)  # type: ignore[arg-type]
