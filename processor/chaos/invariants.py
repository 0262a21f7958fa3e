"""What must hold of a run, as queries that come back empty?

Each stands in a file of its own: its number among the invariants, what it says, and whether it
holds at every moment of a run, whatever is killed, or once everything has ended and is projected.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

_FOLDER: Final = files("processor.chaos") / "sql"


class When(StrEnum):
    """When an invariant can be asked for."""

    DURING = "during"
    AFTERWARDS = "afterwards"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One query; every line that comes back is a violation, in words."""

    name: str
    """Its file's: the number, and a word or two."""
    says: str
    when: When
    query: str
    twice: bool = False
    """Whether only that is a violation which is seen again: what the snapshot knew of may have been
    told after the topics were read."""

    @property
    def number(self) -> int:
        """Its number; parts of one invariant have the same."""
        return int(self.name.partition("-")[0])


@cache
def invariants() -> tuple[Invariant, ...]:
    """All of them, by number."""
    found = (_FOLDER / "invariants").iterdir()
    return tuple(
        _read(one.name.removesuffix(".sql"), one.read_text("utf-8"))
        for one in sorted(found, key=lambda one: one.name)
        if one.name.endswith(".sql")
    )


def tables() -> str:
    """The tables beside the ledger that the queries stand on, to be created once."""
    return (_FOLDER / "tables.sql").read_text("utf-8")


def _read(name: str, text: str) -> Invariant:
    says, when, query = text.split("\n", 2)
    moment, _, again = when.removeprefix("-- ").partition(", ")
    return Invariant(name, says.removeprefix("-- "), When(moment), query, again == "twice")
