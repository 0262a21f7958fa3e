"""What is said at the end: do the two agree, what did a job go through, how fast was it?"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from processor.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.demo.expectation import Aircraft, Expectation, Found

SHOWN = 20
"""Differences written out; of the others it is said how many there are."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long what took, in seconds."""

    submitting: float
    working: float
    """From the first end to the last, by the database's clock."""
    whole: float
    """From the first submission until the history was complete."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run."""

    settings: Settings
    """Where the run's jobs can still be asked for."""
    expected: Expectation
    found: Found
    differences: Sequence[str]
    lives: Mapping[str, Sequence[str]]
    """What each of a few jobs went through, by what it is an example of."""
    times: Times

    @property
    def agrees(self) -> bool:
        """Whether the database holds exactly what the plain computation says."""
        return not self.differences

    @property
    def rate(self) -> float:
        """Jobs a second, while they were worked."""
        return self.expected.flights / self.times.working if self.times.working else 0.0


def tell(report: Report, console: Console) -> None:
    """Print all of it."""
    for title, life in report.lives.items():
        console.print(Text(f"\n{title}", style="bold"))
        for line in life:
            _line(console, line)
    console.print()
    console.print(_comparison(report))
    _verdict(report, console)
    times = report.times
    _line(
        console,
        f"{report.expected.flights:,} jobs worked in {times.working:.1f} s:"
        f" {report.rate:,.0f} jobs/s from the first end to the last (submitted in"
        f" {times.submitting:.1f} s; from the first submission to the complete history"
        f" {times.whole:.1f} s)",
    )
    _line(
        console,
        "Until the next demo its jobs can be asked for, by `processor status ID`"
        f" with JOBS_NAMESPACE={report.settings.namespace}"
        f" JOBS_DATABASE={_without_password(report.settings.need_database())}"
        f" JOBS_KAFKA={report.settings.need_kafka()}",
    )


def _without_password(database: str) -> str:
    parts = urlsplit(database)
    if parts.password is None:
        return database
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")).geturl()


def _comparison(report: Report) -> Table:
    expected, found = report.expected, report.found
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("the file says", justify="right")
    table.add_column("the database holds", justify="right")
    for name, wanted, got in (
        ("flights worked", expected.fit, found.rows),
        ("dead letters", len(expected.unfit), len(found.dead)),
        ("histories with their end", expected.flights, found.histories),
        ("aircraft", len(expected.aircraft), len(found.aircraft)),
        ("minutes in the air", _sum(expected.aircraft, "minutes"), _sum(found.aircraft, "minutes")),
        ("miles", _sum(expected.aircraft, "miles"), _sum(found.aircraft, "miles")),
        (
            "aircraft where they were last",
            len(expected.aircraft),
            _alike(report, "last_destination"),
        ),
        ("aircraft with every flight in order", len(expected.aircraft), _alike(report, "trail")),
    ):
        table.add_row(name, f"{wanted:,}", Text(f"{got:,}", style="" if wanted == got else "red"))
    return table


def _sum(aircraft: Mapping[str, Aircraft], name: str) -> int:
    return sum(map(attrgetter(name), aircraft.values()))


def _alike(report: Report, name: str) -> int:
    value = attrgetter(name)
    found = report.found.aircraft
    return sum(
        tailnum in found and value(found[tailnum]) == value(wanted)
        for tailnum, wanted in report.expected.aircraft.items()
    )


def _verdict(report: Report, console: Console) -> None:
    if report.agrees:
        busiest, row = max(report.expected.aircraft.items(), key=lambda one: one[1].flights)
        _line(
            console,
            f"Agrees for every aircraft; the busiest, {busiest}: {row.flights:,} flights,"
            f" {row.minutes:,} minutes, {row.miles:,} miles, last to {row.last_destination}.",
            "bold green",
        )
        return
    count = len(report.differences)
    _line(console, f"Does not agree: {count:,} differences.", "bold red")
    for line in report.differences[:SHOWN]:
        _line(console, f"  {line}")
    if count > SHOWN:
        _line(console, f"  and {count - SHOWN:,} more")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
