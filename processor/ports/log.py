"""How are records appended to topics, and read from them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Headers = Sequence[tuple[str, bytes]]


class LogFailure(Exception):  # noqa: N818 - the sentence that goes to the producer
    """A record is not known to be appended."""


class LogCut(Exception):  # noqa: N818 - names what happened
    """The log no longer, or not yet, holds the offset that was asked for."""

    def __init__(self, place: Place, offset: int, start: int, end: int) -> None:
        super().__init__(
            f"{place.topic}[{place.partition}] holds offsets {start} to {end}, not {offset}"
        )
        self.place, self.offset, self.start, self.end = place, offset, start, end


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Append(NamedTuple):
    """A record to append; `key` is for other readers, `partition` decides."""

    place: Place
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Log(Protocol):
    """Appends records; acknowledged means: by every in-sync replica."""

    async def append(
        self, records: Sequence[Append], timeout: float | None = None
    ) -> list[int | LogFailure]:
        """The offset of each record, or why it is not known to be appended, in the order given.

        Records of one partition keep their order, also over calls that overlap. Without a time-out
        (seconds) it goes on until the broker answers. Cancelling leaves unknown what was appended.
        """
        ...


class LogRecord(Protocol):
    """A record as it was read."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, set by the log as it appended."""
        ...

    @property
    def headers(self) -> Headers: ...


class Reader(Protocol):
    """Reads partitions from places that the caller keeps; no group, nothing committed.

    A partition is read only between `place` and `leave`; others are never touched by either.
    """

    def place(self, place: Place, offset: int) -> None:
        """Read this partition from there on."""
        ...

    def leave(self, place: Place) -> None:
        """Read this partition no further; what was fetched of it is dropped."""
        ...

    async def fetch(
        self, timeout: float, limit: int, among: Collection[Place] | None = None
    ) -> Mapping[Place, Sequence[LogRecord]]:
        """At most `limit` records of the placed partitions (only `among` these), each in order.

        Waits up to `timeout` seconds for the first. Must not be cancelled; it ends by itself.
        Raises `LogCut` when a place is not in the log.
        """
        ...

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """The first offset that is held and the next to be appended, of each."""
        ...
