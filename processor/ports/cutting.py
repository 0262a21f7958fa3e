"""How far does the log reach, and how is its start cut off?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from processor.ports.log import Place


class Extent(Protocol):
    """Tells what the log holds; raises `Unavailable` when the broker does not answer."""

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """The first offset that is held and the next to be appended, of each."""
        ...

    async def appended_at(self, offsets: Mapping[Place, int]) -> Mapping[Place, int]:
        """When the record at each offset was appended, in microseconds since the epoch.

        A place without a record there, since it is the end, is missing. Raises `LogCut`.
        """
        ...


class Cutting(Extent, Protocol):
    """Cuts the log."""

    async def cut(self, below: Mapping[Place, int]) -> None:
        """Delete the records of each place below an offset; harmless when repeated.

        An offset below the place's start changes nothing.
        """
        ...
