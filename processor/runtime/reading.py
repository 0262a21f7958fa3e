"""What reads the lanes of a worker?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from processor.domain.priority import LANES
from processor.runtime.decoding import Decoder
from processor.runtime.fetching import LaneFetcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.priority import Priority
    from processor.runtime.examining import Examiner
    from processor.runtime.memory import Memory
    from processor.runtime.world import Manner, World

READY_A_SLOT: Final = 4
"""So many entities that are ready for each slot keep it busy until more is read."""


def lane_fetchers(
    world: World,
    manner: Manner,
    examiner: Examiner,
    is_lane_held: Callable[[Priority], bool],
    memory: Memory,
) -> list[LaneFetcher]:
    """One fetcher a lane, the most urgent first."""
    fetchers = []
    for lane in LANES:
        topic = manner.topics.lane(lane)
        decoder = Decoder(world.codec, lane, topic, manner.cluster, manner.partitions)
        fetchers.append(
            LaneFetcher(
                world.readers[lane],
                decoder,
                examiner,
                world.clock,
                manner.look_ahead,
                is_lane_held,
                partial(memory.is_saturated, most=READY_A_SLOT * manner.slots),
            )
        )
    return fetchers
