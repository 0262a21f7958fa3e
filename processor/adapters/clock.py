"""What time is it really?"""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Implements `processor.ports.clock.Clock` with the machine's own clocks."""

    def now(self) -> int:
        """See `processor.ports.clock.Clock`."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """See `processor.ports.clock.Clock`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `processor.ports.clock.Clock`."""
        await asyncio.sleep(seconds)
