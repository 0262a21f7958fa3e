"""Which clock do janitor and pruner get in a test that does not wait for days?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from processor.adapters.clock import SystemClock


@dataclass
class MovedClock:
    """The machine's clock, set ahead; sleeping takes no time worth waiting for."""

    ahead: int = 0

    def now(self) -> int:
        return SystemClock().now() + self.ahead

    def monotonic(self) -> float:
        return SystemClock().monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))
