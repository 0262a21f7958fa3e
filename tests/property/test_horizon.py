"""Is nothing of the log cut, and nothing of the ledger pruned, that somebody still needs?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.horizon import (
    DAY,
    DAYS_OF_LOG,
    Cut,
    cut_below,
    day_of,
    ended_before,
    ledger_before,
    standing,
)

OFFSETS = st.integers(0, 1_000)
DAYS = st.dictionaries(st.integers(20_000, 20_040), OFFSETS, max_size=30)
TODAY = st.integers(19_990, 20_050)


@given(DAYS, TODAY, st.none() | OFFSETS, st.none() | OFFSETS)
def test_a_cut_is_below_what_stands_what_stood_and_the_oldest_open_letter(
    days: dict[int, int], today: int, stands: int | None, oldest: int | None
) -> None:
    cut = cut_below(days, today, stands, oldest)
    if cut is None:
        assert stands is None or not any(day + DAYS_OF_LOG < today for day in days)
        return
    assert stands is not None
    assert cut.offset <= stands
    assert cut.offset <= days[cut.day]
    assert oldest is None or cut.offset <= oldest
    assert today - cut.day > DAYS_OF_LOG


@given(DAYS, TODAY, OFFSETS)
def test_a_cut_rests_on_the_newest_day_that_is_old_enough(
    days: dict[int, int], today: int, stands: int
) -> None:
    cut = cut_below(days, today, stands)
    old = [day for day in days if day + DAYS_OF_LOG < today]
    assert (cut.day if cut else None) == max(old, default=None)


@given(st.integers(0, 30 * DAY), st.lists(st.integers(0, DAY), min_size=1, max_size=60))
def test_whatever_stood_within_the_last_eight_days_is_never_cut(
    begin: int, steps: list[int]
) -> None:
    """A database restored to any of these moments finds its log (H40)."""
    moment = begin
    days: dict[int, int] = {}
    stood: list[tuple[int, int]] = []
    for position, step in enumerate(steps):
        moment += step
        days.setdefault(day_of(moment), position)
        stood.append((moment, position))
        cut = cut_below(days, day_of(moment), position)
        recent = [at for when, at in stood if when >= moment - DAYS_OF_LOG * DAY]
        assert cut is None or cut.offset <= min(recent)


@given(DAYS, TODAY, OFFSETS)
def test_days_before_the_one_it_rests_on_are_of_no_more_use(
    days: dict[int, int], today: int, stands: int
) -> None:
    cut = cut_below(days, today, stands)
    if cut is not None:
        kept = {day: at for day, at in days.items() if day >= cut.day}
        for later in range(today, today + 3):
            assert cut_below(kept, later, stands) == cut_below(days, later, stands)


def test_a_place_that_no_projection_has_read_is_not_cut() -> None:
    assert standing(7, []) is None
    assert cut_below({1: 5}, 100, standing(7, [])) is None
    assert standing(7, [9, 8]) == 7
    assert standing(9, [7, 8]) == 7
    assert standing(None, [7, 8]) == 7
    assert cut_below({1: 5}, 100, 7, 3) == Cut(3, 1)


@given(st.integers(0, 40 * DAY), st.lists(st.integers(0, 40 * DAY), max_size=4))
def test_a_row_goes_only_if_it_ended_seven_days_before_now_and_every_unread_record(
    now: int, unread: list[int]
) -> None:
    before = ledger_before(now, unread)
    assert before <= now - 7 * DAY == ended_before(now)
    assert all(before <= at - 7 * DAY for at in unread)
    assert before in {at - 7 * DAY for at in (now, *unread)}
