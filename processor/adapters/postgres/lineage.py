"""Is this still the database it was?

After a failover or a restore commits are gone that somebody has seen. Each new connection compares
the system's identifier, the timeline and how far the log is written; on a change every older
connection is closed before anything else happens, the era is counted up, and whoever keeps state
that the database may have lost (positions, mailboxes) is called, before the new one is asked.

How far the log is written must be known as of now, not as of the last connection, which may be days
old: a copy of yesterday that is restored is ahead of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN: Final = "(pg_current_wal_flush_lsn() - '0/0')::bigint"
"""How far the log is written, in bytes."""
IDENTIFY: Final = f"""
SELECT system_identifier,
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer AS timeline,
       {WRITTEN} AS written
FROM pg_control_system()
"""  # noqa: S608 - a function of the server's


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server said of itself when it was connected to."""

    system: int
    timeline: int
    written: int
    """Bytes of write-ahead log that are durable; never goes back, save by a restore."""


class Lineage:
    """The identity that all connections of a process share."""

    def __init__(self) -> None:
        self._known: Identity | None = None
        self._leavers: list[Callable[[], None]] = []
        self.era = 0
        """Counts the changes seen."""

    @property
    def timeline(self) -> int:
        """The newest server's timeline, from 1; 0 before the first connection."""
        return 0 if self._known is None else self._known.timeline

    def on_change(self, leave: Callable[[], None]) -> None:
        """Have `leave` called when the database is another: it closes what it holds."""
        self._leavers.append(leave)

    @property
    def written(self) -> int:
        """How far the log was written, of all that was heard by now."""
        return 0 if self._known is None else self._known.written

    def hear(self, written: int) -> None:
        """The server that is known has written its log so far."""
        if self._known is not None:
            self._known = replace(self._known, written=max(written, self._known.written))

    def observe(self, identity: Identity, at_least: int) -> None:
        """Compare what a new connection's server says with what is known.

        `at_least`: `written` as it was before the server was asked. Answers overtake each other.
        """
        known, self._known = self._known, identity
        if known is None:
            return
        same = (known.system, known.timeline) == (identity.system, identity.timeline)
        if same and identity.written >= at_least:
            self._known = replace(identity, written=max(identity.written, known.written))
            return
        self.era += 1
        for leave in self._leavers:
            leave()
