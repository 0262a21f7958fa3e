"""When is a failed attempt followed by another?"""

from __future__ import annotations

import random

import pytest
from tenacity import retry_if_exception_type, retry_never, wait_chain, wait_fixed, wait_incrementing

from processor.domain.retry import Retry, delay_before_next


def test_five_attempts_are_made_unless_told_otherwise() -> None:
    error = ValueError()
    delays = [delay_before_next(Retry(), attempt, error) for attempt in range(1, 7)]
    assert [delay is None for delay in delays] == [False, False, False, False, True, True]


def test_a_submissions_own_attempts_take_the_place_of_the_policys() -> None:
    policy = Retry(attempts=5, wait=wait_fixed(1))
    assert delay_before_next(policy, 1, ValueError(), attempts=1) is None
    assert delay_before_next(policy, 7, ValueError(), attempts=8) == 1.0


def test_the_usual_wait_doubles_from_one_second_with_full_jitter_up_to_a_minute() -> None:
    policy = Retry(attempts=100)
    for attempt, bound in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60)]:
        random.seed(attempt)
        drawn = [delay_before_next(policy, attempt, ValueError()) for _ in range(200)]
        assert all(delay is not None and 0 <= delay <= bound for delay in drawn)
        assert max(delay or 0 for delay in drawn) > bound / 2
        assert min(delay or 0 for delay in drawn) < bound / 2


def test_a_wait_is_the_same_when_chance_is_the_same() -> None:
    random.seed(5)
    first = delay_before_next(Retry(), 4, ValueError())
    random.seed(5)
    assert delay_before_next(Retry(), 4, ValueError()) == first


def test_any_strategy_of_tenacity_is_a_value_that_is_asked() -> None:
    chain = Retry(wait=wait_chain(wait_fixed(1), wait_fixed(7)), attempts=9)
    assert [delay_before_next(chain, attempt, ValueError()) for attempt in (1, 2, 3)] == [1, 7, 7]
    rising = Retry(wait=wait_incrementing(start=2, increment=3), attempts=9)
    assert [delay_before_next(rising, attempt, ValueError()) for attempt in (1, 2)] == [2, 5]
    summed = Retry(wait=wait_fixed(1) + wait_fixed(2))
    assert delay_before_next(summed, 1, ValueError()) == 3


@pytest.mark.parametrize("error", [KeyError("a"), LookupError("b")])
def test_only_errors_that_deserve_it_are_tried_again(error: Exception) -> None:
    policy = Retry(on=retry_if_exception_type(LookupError), wait=wait_fixed(1))
    assert delay_before_next(policy, 1, error) == 1
    assert delay_before_next(policy, 1, ValueError()) is None
    assert delay_before_next(Retry(on=retry_never), 1, error) is None


def test_an_entity_goes_on_after_a_failure_for_good_unless_told_otherwise() -> None:
    assert Retry().on_exhausted == "skip"
    assert Retry(on_exhausted="block").on_exhausted == "block"
