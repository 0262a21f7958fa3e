"""Below which offset is every record done?"""

from __future__ import annotations

import pytest

from processor.domain.position import Position


def accepted(start: int, *offsets: int) -> Position:
    position = Position(start)
    for offset in offsets:
        position.accept(offset)
    return position


def test_a_position_without_records_stands_where_it_started() -> None:
    position = Position(7)
    assert (position.next, position.fetched, position.unfinished) == (7, 7, 0)


def test_a_position_waits_for_the_oldest_record() -> None:
    position = accepted(0, 0, 1, 2)
    position.done(1)
    position.done(2)
    assert (position.next, position.fetched, position.unfinished) == (0, 3, 1)
    position.done(0)
    assert (position.next, position.fetched, position.unfinished) == (3, 3, 0)


def test_a_position_passes_offsets_that_hold_no_record() -> None:
    position = accepted(0, 0, 5)
    position.done(0)
    assert position.next == 5
    position.done(5)
    assert position.next == 6


def test_an_offset_is_accepted_once_and_in_order() -> None:
    position = accepted(3, 3, 5)
    for offset in (5, 4, 2):
        with pytest.raises(ValueError, match="was accepted before: the last is 5"):
            position.accept(offset)


@pytest.mark.parametrize("offset", [2, 4, 6, 7])
def test_only_an_open_record_can_be_done(offset: int) -> None:
    position = accepted(3, 3, 5, 6)
    position.done(6)
    with pytest.raises(ValueError, match="is not open"):
        position.done(offset)
    assert position.next == 3


def test_nothing_can_be_done_where_nothing_was_accepted() -> None:
    with pytest.raises(ValueError, match="is not open"):
        Position(0).done(0)


def test_many_are_done_together_as_one_by_one() -> None:
    position = accepted(0, 0, 1, 2, 5)
    position.done_together([2, 1])
    assert (position.next, position.unfinished) == (0, 2)
    position.done_together([0])
    assert (position.next, position.unfinished) == (5, 1)


@pytest.mark.parametrize("offsets", [[3, 4], [3, 3], [6], [7]])
def test_of_many_none_is_done_where_one_is_not_open(offsets: list[int]) -> None:
    position = accepted(3, 3, 5, 6)
    position.done(6)
    with pytest.raises(ValueError, match="are open, once each"):
        position.done_together(offsets)
    assert (position.next, position.unfinished) == (3, 2)
