"""What time is it, and when will it be later?"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time as the system sees it; tests and the simulation move their own."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return that many seconds later."""
        ...
