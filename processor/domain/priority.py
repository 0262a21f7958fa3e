"""Which lanes are there, and what share does each have?

A lane is named by the priority it serves; the order of the values is the order of urgency.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Priority(IntEnum):
    """How urgent a submission is; equal to the number of its lane."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def label(self) -> str:
        """The word for it in topics, columns, metrics and on the command line."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Priority:
        """Read a label; raises `ValueError` naming the four words."""
        try:
            return cls[word.upper()]
        except KeyError:
            words = ", ".join(lane.label for lane in cls)
            message = f"{word!r} is no priority; use one of {words}"
            raise ValueError(message) from None


LANES: Final = tuple(Priority)
WEIGHTS: Final = (8, 4, 2, 1)
"""Shares of the lanes under saturation, by number of lane."""
