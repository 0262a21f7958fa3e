"""For how long has something not moved that should?

As with a worker's beats, time alone proves nothing: only what did not move over several looks of
ours stands still, so that a pause of our own (a frozen process, a database away) accuses nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

LOOKS: Final = 3
"""Looks after the first at which it had not moved."""

K = TypeVar("K", bound="Hashable")


@dataclass(slots=True)
class _Seen:
    value: object
    since: float
    looks: int = 0


class Standstills(Generic[K]):
    """What one observer has seen of things that should move, each by its name."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds after which it is said that something stands still."""
        self._patience = patience
        self._seen: dict[K, _Seen] = {}

    def look(self, values: Mapping[K, object], now: float) -> None:
        """Take note of everything that should move, and where it is; `now` never goes back.

        What is not named need not move, and is forgotten.
        """
        kept = {}
        for name, value in values.items():
            seen = self._seen.get(name)
            if seen is None or seen.value != value:
                seen = _Seen(value, now)
            else:
                seen.looks += 1
            kept[name] = seen
        self._seen = kept

    def seconds(self, name: K, now: float) -> float:
        """For how long it has not moved; 0 for what need not."""
        seen = self._seen.get(name)
        return 0.0 if seen is None else now - seen.since

    def standing(self, now: float) -> dict[K, float]:
        """What stands still, and for how many seconds."""
        return {
            name: now - seen.since
            for name, seen in self._seen.items()
            if seen.looks >= LOOKS and now - seen.since >= self._patience
        }
