"""Which partitions would a consumer group give to whom?"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Self

from processor.adapters.memory.step import Step, onward

if TYPE_CHECKING:
    from processor.ports.clock import Clock


class MemoryGroup:
    """The members of one group, and the range assignor's answer."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._members: dict[str, MemoryMembership] = {}

    def enter(self, member: MemoryMembership) -> None:
        """Take a member in and share out anew."""
        self._members[member.name] = member
        self._share_out()

    def expel(self, member: MemoryMembership) -> None:
        """Give a member's partitions to the others; itself it does not hear of it (H7)."""
        if self._members.get(member.name) is member:
            del self._members[member.name]
            self._share_out()

    def _share_out(self) -> None:
        """Contiguous slices in the order of the names; the first ones get what is left over."""
        start = 0
        for number, name in enumerate(sorted(self._members)):
            size, over = divmod(self._partitions, len(self._members))
            end = start + size + (number < over)
            self._members[name].note(frozenset(range(start, end)))
            start = end


class MemoryMembership:
    """Implements `processor.ports.membership.Membership`; `async with` joins and leaves.

    The coordinator answers all the time, until `cut` says otherwise.
    """

    def __init__(self, group: MemoryGroup, name: str, clock: Clock, *, step: Step = onward) -> None:
        self._group = group
        self._clock = clock
        self.name = name
        self.step = step
        self._assigned: frozenset[int] = frozenset()
        self._change = asyncio.Event()
        self._joined = False
        self._silent_since: float | None = None

    async def __aenter__(self) -> Self:
        lost = await self.step("group.join")
        self._joined = True
        self._group.enter(self)
        if lost is not None:
            raise lost
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.step("group.leave")
        self._group.expel(self)

    def assigned(self) -> frozenset[int]:
        """See `processor.ports.membership.Membership`."""
        return self._assigned

    def heartbeat_age(self) -> float:
        """See `processor.ports.membership.Membership`."""
        if not self._joined:
            return math.inf
        if self._silent_since is None:
            return 0.0
        return self._clock.monotonic() - self._silent_since

    async def changed(self) -> None:
        """See `processor.ports.membership.Membership`."""
        await self._change.wait()
        self._change.clear()

    def note(self, assigned: frozenset[int]) -> None:
        """Hear what the group wants."""
        if assigned != self._assigned:
            self._assigned = assigned
            self._change.set()

    def cut(self, age: float = 0.0) -> None:
        """The coordinator last answered that many seconds ago, and answers no more."""
        self._silent_since = self._clock.monotonic() - age

    def heal(self) -> None:
        """The coordinator answers again; an expelled member is taken in anew."""
        self._silent_since = None
        self._group.enter(self)
