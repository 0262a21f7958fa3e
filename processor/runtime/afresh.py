"""When is what is held looked at afresh, though nobody's time or turn has come?

A new owner may have the handler that was missing, or be of a release that a hold does not concern;
and a handler may be registered at any time. What an open hold keeps is left as it is: nothing is
rewritten for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from processor.ports.waiting_room import Sweeping


class Afresh:
    """Makes held rows due that may run here."""

    def __init__(
        self,
        room: Sweeping,
        types: Callable[[], Iterable[str]],
        kept: Callable[[], Collection[int] | None],
    ) -> None:
        """`types` are those there are handlers for, `kept` the holds that keep jobs here.

        None for holds that are not known yet: then it is too early to look.
        """
        self._room = room
        self._types = types
        self._kept = kept
        self._known = frozenset(types())
        self._partitions: set[int] = set()

    def take(self, partition: int) -> None:
        """A partition was taken over."""
        self._partitions.add(partition)

    async def look(self, owned: Collection[int]) -> None:
        """Make due what may run now; raises `Fault`, and then all of it is still to be done."""
        types = frozenset(self._types())
        if types - self._known:
            self._partitions.update(owned)
        self._known = types
        kept = self._kept()
        if kept is None:
            return
        for number in self._partitions.intersection(owned):
            await self._room.wake(number, [WaitingState.HELD], but_of_holds=kept)
            self._partitions.discard(number)
        self._partitions.intersection_update(owned)
