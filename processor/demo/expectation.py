"""What must the database hold when every flight was worked once, in order, and does it?

A plain loop over the file, without the job processor and without its model of a flight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import md5
from uuid import UUID

from processor.demo.export import Row
from processor.domain.priority import Priority


@dataclass(frozen=True, slots=True)
class Aircraft:
    """What is known of one aircraft."""

    flights: int = 0
    minutes: int = 0
    miles: int = 0
    last_destination: str = ""
    """Right only where the last flight was worked last."""
    trail: str = ""
    """A hash over all its flights in the order in which they were worked: right only if each was
    worked once and in its place."""


@dataclass(slots=True)
class Expectation:
    """What a plain computation over the file says."""

    flights: int = 0
    aircraft: dict[str, Aircraft] = field(default_factory=dict)
    """By tail number."""
    unfit: set[int] = field(default_factory=set)
    """Places in the file, from 0, of the flights that cannot be worked."""
    lanes: Counter[Priority] = field(default_factory=Counter)
    """Flights by the lane they are submitted to."""

    @property
    def fit(self) -> int:
        """How many flights can be worked."""
        return self.flights - len(self.unfit)


@dataclass(frozen=True, slots=True)
class Found:
    """What the run has left behind."""

    aircraft: Mapping[str, Aircraft]
    rows: int
    """Rows of the table of flights, which has no key: a second effect of one job would show."""
    jobs: int
    """Different jobs among these rows."""
    dead: Collection[UUID]
    """Jobs with an open dead letter."""
    ends: Mapping[str, int]
    """Generations in the ledger by how they ended."""
    histories: int
    """Jobs whose history holds their end."""


def expect(flights: Iterable[Row]) -> Expectation:
    """Work the flights in a loop."""
    expectation = Expectation()
    for place, row in enumerate(flights):
        expectation.flights += 1
        expectation.lanes[row.lane] += 1
        if row.tailnum is None or row.air_time is None:
            expectation.unfit.add(place)
        else:
            before = expectation.aircraft.get(row.tailnum, Aircraft())
            expectation.aircraft[row.tailnum] = _after(before, row, row.air_time)
    return expectation


def _after(before: Aircraft, row: Row, air_time: int) -> Aircraft:
    return Aircraft(
        before.flights + 1,
        before.minutes + air_time,
        before.miles + row.distance,
        row.dest,
        md5((before.trail + row.step).encode(), usedforsecurity=False).hexdigest(),
    )


def differences(expected: Expectation, found: Found, jobs: Sequence[UUID]) -> list[str]:
    """Each way in which the two disagree, as one line; `jobs` are the flights' ids in order."""
    dead = {jobs[place] for place in expected.unfit}
    return [
        *_unequal("flights submitted", expected.flights, len(jobs)),
        *_unequal("rows of flights", expected.fit, found.rows),
        *_unequal("different jobs among these rows", expected.fit, found.jobs),
        *_unequal("ends in the ledger: complete", expected.fit, found.ends.get("complete", 0)),
        *_unequal("ends in the ledger: failed", len(dead), found.ends.get("failed", 0)),
        *_unequal("histories with an end", expected.flights, found.histories),
        *_unequal("ends in the ledger", expected.flights, sum(found.ends.values())),
        *(f"dead letter missing: job {job}" for job in sorted(dead - set(found.dead))),
        *(f"dead letter not expected: job {job}" for job in sorted(set(found.dead) - dead)),
        *_of_aircraft(expected.aircraft, found.aircraft),
    ]


def _unequal(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {expected}, found {found}"


def _of_aircraft(expected: Mapping[str, Aircraft], found: Mapping[str, Aircraft]) -> Iterator[str]:
    yield from _unequal("aircraft", len(expected), len(found))
    for tailnum in sorted(expected.keys() | found.keys()):
        wanted, row = expected.get(tailnum), found.get(tailnum)
        if wanted is None or row is None:
            yield f"aircraft {tailnum}: {'not expected' if wanted is None else 'missing'}"
            continue
        for name in (one.name for one in fields(Aircraft)):
            yield from _unequal(
                f"aircraft {tailnum}, {name}", getattr(wanted, name), getattr(row, name)
            )
