"""Is a failed attempt followed by another, and when?"""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest
from tenacity import RetryCallState, retry_if_exception_type, wait_fixed

from processor.domain.errors import ParseError, Reject, ResultInvalid, TryAgain
from processor.domain.events import Durable, ErrorDetail, Reason, Retrying, Started
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.waiting_room import LONGEST
from processor.runtime.deciding import TRY_AGAIN_WITHIN, counts, delay_after

POLICY = Retry(attempts=3, wait=wait_fixed(7))
SECOND = 1_000_000


def started(attempt: int = 1, at: int = 0) -> Started:
    return Started(at, attempt, attempt, "worker", "", 0, Priority.NORMAL)


def delay(
    error: BaseException,
    attempt: int = 1,
    policy: Retry = POLICY,
    attempts: int | None = None,
    events: tuple[Durable, ...] = (),
    now: int = 0,
) -> float | None:
    return delay_after(error, policy, attempts, started(attempt, now), events, now)


def retrying(reason: Reason) -> Retrying:
    return Retrying(1, 1, ErrorDetail(reason, "any", ""), 2)


def test_the_policy_says_how_long_and_how_often() -> None:
    error = RuntimeError("any")
    assert [delay(error, attempt) for attempt in (1, 2, 3)] == [7.0, 7.0, None]


def test_a_submissions_own_attempts_go_before_the_policys() -> None:
    error = RuntimeError("any")
    assert delay(error, 1, attempts=1) is None
    assert delay(error, 9, attempts=10) == 7.0


@pytest.mark.parametrize("error", [Reject("no"), ParseError("no", ["a"]), ResultInvalid("no")])
def test_what_another_attempt_cannot_mend_gets_none(error: Exception) -> None:
    assert delay(error) is None


def test_only_exceptions_that_the_policy_names_get_another_attempt() -> None:
    policy = Retry(on=retry_if_exception_type(OSError), wait=wait_fixed(1))
    assert delay(OSError(), policy=policy) == 1.0
    assert delay(ValueError(), policy=policy) is None


def test_a_handler_that_cancels_itself_has_failed_like_any_other() -> None:
    assert delay(asyncio.CancelledError()) == 7.0
    assert delay(SystemExit()) is None


@pytest.mark.parametrize("after", [90, 90.0, timedelta(seconds=90)])
def test_try_again_is_granted_past_the_policys_attempts(after: timedelta | float) -> None:
    assert delay(TryAgain(after), 99) == 90.0


def test_try_again_is_granted_for_a_day_from_the_first_run() -> None:
    now = round(TRY_AGAIN_WITHIN * SECOND) - 10 * SECOND
    events = (started(at=0), retrying(Reason.TRY_AGAIN))
    assert delay(TryAgain(10), events=events, now=now) == 10.0
    assert delay(TryAgain(11), events=events, now=now) is None


@pytest.mark.parametrize("after", [math.inf, math.nan, "soon", None])
def test_try_again_after_no_time_is_not_granted(after: float) -> None:
    assert delay(TryAgain(after)) is None


def test_nobody_waits_for_less_than_nothing() -> None:
    assert delay(TryAgain(-5)) == 0.0


def test_a_wait_without_end_is_cut_to_the_longest_there_is() -> None:
    assert delay(OSError(), policy=Retry(wait=_Always(math.inf))) == LONGEST


def test_a_policy_that_breaks_or_gives_no_number_gives_no_other_attempt() -> None:
    assert delay(OSError(), policy=Retry(wait=_Always(math.nan))) is None
    assert delay(OSError(), policy=Retry(wait=_breaks)) is None
    assert delay(OSError(), policy=Retry(on=_breaks)) is None


def test_the_run_after_try_again_is_not_the_next_attempt() -> None:
    assert counts(())
    assert counts((started(), retrying(Reason.HANDLER_FAILED)))
    assert not counts((started(), retrying(Reason.TRY_AGAIN)))


def _breaks(_: RetryCallState) -> bool:
    raise ZeroDivisionError


class _Always:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, _: RetryCallState) -> float:
        return self.seconds
