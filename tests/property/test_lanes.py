"""Does every lane have its turn, whichever lanes have something to do and when?"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from processor.domain.lanes import Shares
from processor.domain.priority import LANES, WEIGHTS

ROUND = sum(WEIGHTS)


class LanesMachine(RuleBasedStateMachine):
    """The promise itself, counted: a lane that is ready waits for one turn of each other lane."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares()
        self.ready = [False] * len(LANES)
        self.waited = [0] * len(LANES)
        """Turns of others since a lane was ready, or was served."""
        self.steady = 0
        """Turns since anything changed."""
        self.served = [0] * len(LANES)
        """In that time."""

    @rule(ready=st.lists(st.booleans(), min_size=len(LANES), max_size=len(LANES)))
    def change(self, ready: list[bool]) -> None:
        self.ready = ready
        self.waited = [turns if one else 0 for turns, one in zip(self.waited, ready, strict=True)]
        self.steady, self.served = 0, [0] * len(LANES)

    @rule(times=st.integers(1, 3 * ROUND))
    def pick(self, times: int) -> None:
        for _ in range(times):
            lane = self.shares.pick(self.ready)
            if lane is None:
                assert not any(self.ready)
                return
            assert self.ready[lane]
            self.waited = [
                turns + 1 if self.ready[number] and number != lane else 0
                for number, turns in enumerate(self.waited)
            ]
            self.steady += 1
            self.served[lane] += 1

    @invariant()
    def nobody_starves(self) -> None:
        for lane, turns in enumerate(self.waited):
            assert turns <= ROUND - WEIGHTS[lane], f"lane {lane} waited for {turns} turns"

    @invariant()
    def the_shares_hold_while_nothing_changes(self) -> None:
        whole = sum(weight for weight, one in zip(WEIGHTS, self.ready, strict=True) if one)
        for lane, weight in enumerate(WEIGHTS):
            if self.ready[lane]:
                due = self.steady * weight / whole
                assert abs(self.served[lane] - due) <= 2 * weight, f"lane {lane} off its share"


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=50, stateful_step_count=20)
