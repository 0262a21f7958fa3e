"""Is only that said to stand still that did not move over several looks?"""

from __future__ import annotations

import pytest

from processor.domain.standstill import LOOKS, Standstills

PATIENCE = 60.0


def test_what_moves_never_stands_still() -> None:
    seen: Standstills[str] = Standstills(PATIENCE)
    for number in range(100):
        seen.look({"a": number // 2}, number * 50.0)
        assert seen.standing(number * 50.0) == {}


def test_what_does_not_move_stands_still_once_both_the_time_and_the_looks_are_over() -> None:
    seen: Standstills[str] = Standstills(PATIENCE)
    for number in range(LOOKS):
        seen.look({"a": 1}, number * 1000.0)
        assert seen.standing(number * 1000.0) == {}
    now = LOOKS * 1000.0
    seen.look({"a": 1}, now)
    assert seen.standing(now) == {"a": now}
    often: Standstills[str] = Standstills(PATIENCE)
    for second in range(int(PATIENCE)):
        often.look({"a": 1}, float(second))
        assert often.standing(float(second)) == {}
    often.look({"a": 1}, PATIENCE)
    assert often.standing(PATIENCE) == {"a": PATIENCE}


@pytest.mark.parametrize("between", [{"b": 1}, {"a": 2, "b": 1}])
def test_who_moved_or_need_not_have_moved_begins_anew(between: dict[str, int]) -> None:
    seen: Standstills[str] = Standstills(PATIENCE)
    for number in range(10):
        seen.look({"a": 1, "b": 1}, number * 20.0)
    seen.look(between, 200.0)
    assert seen.standing(200.0) == {"b": 200.0}
    seen.look({"a": 1, "b": 1}, 220.0)
    assert seen.standing(220.0) == {"b": 220.0}
    assert (seen.seconds("a", 230.0), seen.seconds("b", 230.0)) == (10.0, 230.0)


def test_of_what_was_never_named_nothing_is_said() -> None:
    seen: Standstills[str] = Standstills(PATIENCE)
    assert (seen.standing(100.0), seen.seconds("a", 100.0)) == ({}, 0.0)
