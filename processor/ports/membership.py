"""Who should own which partition?"""

from __future__ import annotations

from typing import Protocol


class Membership(Protocol):
    """What the group wants of this worker; who does own a partition is `Ownership`'s answer."""

    def assigned(self) -> frozenset[int]:
        """The partitions that the group wants this worker to own, the same in all four lanes."""
        ...

    def heartbeat_age(self) -> float:
        """Seconds since the group's coordinator last answered a heartbeat; infinite before."""
        ...

    async def changed(self) -> None:
        """Return after the next change of `assigned`, or a change that nobody waited for."""
        ...
