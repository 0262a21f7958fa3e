"""What does the export say, flight by flight?

Kept as it is, holes included: whether a flight fits its model is found out when its job is run.
"""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from zlib import crc32

from processor.domain.priority import LANES, Priority

FILE = "flights-2013.csv.xz"
ALL = 336_776
"""Flights in the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file; None where it has no value."""

    time_hour: str
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: int | None
    """Minutes."""
    distance: int
    """Miles."""

    @property
    def payload(self) -> dict[str, str | int | None]:
        """What is submitted."""
        return {
            "time_hour": self.time_hour,
            "carrier": self.carrier,
            "flight": self.flight,
            "tailnum": self.tailnum,
            "origin": self.origin,
            "dest": self.dest,
            "air_time": self.air_time,
            "distance": self.distance,
        }

    @property
    def step(self) -> str:
        """What its aircraft's trail is made of."""
        return (
            f"{self.time_hour} {self.carrier}{self.flight} {self.origin}-{self.dest}"
            f" {self.air_time} {self.distance}"
        )

    @property
    def lane(self) -> Priority:
        """The aircraft's one lane: order is kept within an entity and a lane."""
        return LANES[crc32((self.tailnum or "").encode()) % len(LANES)]


def rows(limit: int | None = None) -> Iterator[Row]:
    """The flights in the order of the file, or the first so many, read while they are asked for."""
    packed = resources.files(__package__).joinpath(FILE)
    with (
        packed.open("rb") as raw,
        lzma.open(raw) as plain,
        io.TextIOWrapper(plain, encoding="utf-8", newline="") as text,
    ):
        lines = csv.reader(text)
        next(lines)
        for time_hour, carrier, flight, tailnum, origin, dest, air_time, distance in islice(
            lines, limit
        ):
            yield Row(
                time_hour,
                carrier,
                int(flight),
                tailnum or None,
                origin,
                dest,
                int(air_time) if air_time else None,
                int(distance),
            )
