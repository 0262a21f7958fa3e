"""Is it said who blocks the event loop, while it is blocked, and not each time anew?"""

from __future__ import annotations

import asyncio
import time

from structlog.testing import capture_logs

from processor.adapters.clock import SystemClock
from processor.runtime.loop_lag import LoopLag, Witness

ALLOWED = 0.1


def here(lag: LoopLag) -> None:
    """Block until the witness has seen it."""
    while not lag.place:
        time.sleep(0.01)


def there(lag: LoopLag) -> None:
    """The same elsewhere."""
    while not lag.place:
        time.sleep(0.01)


def test_each_place_that_blocks_is_named_once_within_minutes() -> None:
    async def scenario() -> float:
        lag = LoopLag(SystemClock(), ALLOWED)
        looking = asyncio.create_task(lag.run())
        with Witness(lag, {}):
            for block in (here, there, here, there):
                await asyncio.sleep(0)
                block(lag)
                while lag.place:  # noqa: ASYNC110 - nobody tells that the loop was seen to go on
                    await asyncio.sleep(0.01)
        looking.cancel()
        return lag.stood_still()

    with capture_logs() as lines:
        stood_still = asyncio.run(scenario())
    places = [line["where"] for line in lines if line["event"] == "the event loop stands still"]
    assert [place.rpartition(":")[0] for place in places] == [
        "test_loop_lag:here",
        "test_loop_lag:there",
    ]
    assert stood_still >= 4 * ALLOWED
