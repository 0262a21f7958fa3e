"""Does a position ever pass a record that is not done?"""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.position import Position

gaps = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@given(st.integers(0, 1_000), gaps, st.randoms(use_true_random=False))
def test_a_position_stands_at_the_oldest_open_record_whatever_the_order_of_ends(
    start: int, steps: list[int], chance: Random
) -> None:
    position = Position(start)
    opened: set[int] = set()
    offset = start - 1
    coming = list(steps)
    while coming or opened:
        if coming and (not opened or chance.random() < 0.5):
            offset += coming.pop()
            position.accept(offset)
            opened.add(offset)
        else:
            done = chance.choice(sorted(opened))
            position.done(done)
            opened.remove(done)
        assert position.next == min(opened, default=offset + 1)
        assert position.fetched == offset + 1
        assert position.unfinished == len(opened)
