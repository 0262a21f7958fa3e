"""What reads the lanes of a worker?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.priority import LANES
from processor.runtime.decoding import Decoder
from processor.runtime.fetching import LaneFetcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.priority import Priority
    from processor.runtime.examining import Examiner
    from processor.runtime.world import Manner, World


def lane_fetchers(
    world: World, manner: Manner, examiner: Examiner, is_lane_held: Callable[[Priority], bool]
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
            )
        )
    return fetchers
