"""Which lane is served next?"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from processor.domain.lanes import Shares, may_send
from processor.domain.priority import LANES, WEIGHTS, Priority

ALL = (1, 1, 1, 1)


def picks(shares: Shares, times: int, ready: tuple[int, ...] = ALL) -> list[int | None]:
    return [shares.pick(ready) for _ in range(times)]


def test_the_lanes_have_their_shares_when_all_are_ready() -> None:
    counted = Counter(picks(Shares(), 15_000))
    for lane, weight in zip(LANES, WEIGHTS, strict=True):
        assert counted[lane] == pytest.approx(1_000 * weight, rel=0.1)


@pytest.mark.parametrize("at_once", [1, 3, 32])
def test_the_shares_hold_however_many_places_become_free_at_once(at_once: int) -> None:
    shares, counted = Shares(), Counter[int | None]()
    for _ in range(15_000 // at_once):
        counted.update(picks(shares, at_once))
        assert shares.pick((0, 0, 0, 0)) is None  # every place is taken
    for lane, weight in zip(LANES, WEIGHTS, strict=True):
        assert counted[lane] == pytest.approx(1_000 * weight, rel=0.02)


def test_no_lane_waits_longer_than_a_round_of_all_others() -> None:
    served = picks(Shares(), 15_000)
    for lane in LANES:
        turns = [turn for turn, picked in enumerate(served) if picked == lane]
        assert max(later - earlier for earlier, later in pairwise(turns)) <= sum(WEIGHTS)


def test_a_lane_alone_gets_every_turn() -> None:
    for lane in LANES:
        ready = tuple(int(lane == other) for other in LANES)
        assert set(picks(Shares(), 100, ready)) == {lane}


def test_no_lane_has_a_turn_when_none_is_ready_and_nobody_saves_up_meanwhile() -> None:
    shares = Shares()
    assert set(picks(shares, 100, (0, 0, 0, 0))) == {None}
    counted = Counter(picks(shares, 15_000))
    for lane, weight in zip(LANES, WEIGHTS, strict=True):
        assert counted[lane] == pytest.approx(1_000 * weight, rel=0.1)


def test_a_lane_that_was_away_gets_no_more_than_its_round_when_it_comes_back() -> None:
    shares = Shares()
    picks(shares, 1_000, (0, 1, 1, 1))
    back = picks(shares, 100)
    longest = longest_run(back, Priority.CRITICAL)
    assert longest == WEIGHTS[Priority.CRITICAL]


def longest_run(served: list[int | None], lane: int) -> int:
    longest = run = 0
    for picked in served:
        run = run + 1 if picked == lane else 0
        longest = max(longest, run)
    return longest


def test_two_lanes_share_as_their_weights_say() -> None:
    counted = Counter(picks(Shares(), 9_000, (1, 0, 0, 1)))
    assert counted[0] == pytest.approx(8_000, rel=0.1)
    assert counted[3] == pytest.approx(1_000, rel=0.1)


def test_other_weights_may_be_given() -> None:
    counted = Counter(picks(Shares((1, 1)), 100, (1, 1)))
    assert counted == {0: 50, 1: 50}


def test_a_lane_leaves_a_place_to_each_lane_above_it() -> None:
    for lane in LANES:
        running = [0, 0, 0, 0]
        while may_send(lane, running, 8):
            running[lane] += 1
        assert running[lane] == 8 - lane
        for above in range(lane):
            assert may_send(above, running, 8)


def test_lanes_below_count_together_against_the_places_above_them() -> None:
    assert not may_send(2, [0, 0, 3, 3], 8)
    assert may_send(1, [0, 0, 3, 3], 8)
    assert may_send(2, [2, 0, 2, 3], 8)


def test_nobody_sends_when_every_place_is_taken() -> None:
    assert not any(may_send(lane, [8, 0, 0, 0], 8) for lane in LANES)


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_every_lane_can_send_even_where_places_are_few(capacity: int) -> None:
    assert all(may_send(lane, [0, 0, 0, 0], capacity) for lane in LANES)
    assert not may_send(3, [0, 0, 0, 1], capacity)
