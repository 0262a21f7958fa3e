"""What is said at the end: what was done, what holds, and how large the processes grew?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from processor.chaos.checking import SHOWN, Found
from processor.chaos.invariants import When
from processor.chaos.watching import is_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.chaos.diary import Diary
    from processor.chaos.looking import Looks
    from processor.chaos.wanted import Wanted
    from processor.chaos.working import Run

MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run."""

    wanted: Wanted
    diary: Diary
    looks: Looks
    found: Sequence[Found]
    run: Run

    @property
    def violations(self) -> int:
        """All of them, those that were seen only in the middle of the run too."""
        return (
            sum(one.violations for one in self.found)
            + sum(self.looks.violations.values())
            + len(self.run.stood_still)
        )

    @property
    def holds(self) -> bool:
        """Whether nothing was broken."""
        return self.violations == 0


def tell(report: Report, console: Console) -> None:
    """Print all of it."""
    console.print()
    console.print(_invariants(report))
    _violations(report, console)
    _done(report, console)
    _growth(report, console)
    _line(
        console,
        f"What was done, with its times: {report.diary.path}; the same again:"
        f" processor chaos --seed {report.wanted.seed} with the same options.",
    )
    if report.holds:
        _line(console, "Every invariant holds.", "bold green")
    else:
        _line(console, f"{report.violations:,} violations.", "bold red")


def _invariants(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("invariant")
    table.add_column("during", justify="right")
    table.add_column("at the end", justify="right")
    for one in report.found:
        seen = report.looks.violations[one.invariant.name]
        during = f"{seen:,}" if one.invariant.when is When.DURING else ""
        table.add_row(
            str(one.invariant.number),
            one.invariant.says,
            Text(during, style="red" if seen else ""),
            Text(f"{one.violations:,}", style="red" if one.violations else ""),
        )
    still = len(report.run.stood_still)
    table.add_row(
        "17", "What a fault stopped goes on by itself", Text(f"{still:,}", "red" if still else "")
    )
    return table


def _violations(report: Report, console: Console) -> None:
    for one in report.found:
        lines = one.lines or report.looks.lines.get(one.invariant.name, ())
        count = max(one.violations, report.looks.violations[one.invariant.name])
        for line in lines:
            _line(console, f"  {one.invariant.name}: {line}", "red")
        if count > SHOWN:
            _line(console, f"  {one.invariant.name}: and {count - SHOWN:,} more", "red")
    for line in report.run.stood_still:
        _line(console, f"  17: {line}", "red")


def _done(report: Report, console: Console) -> None:
    feeding = report.run.scene.feeding
    faults = Counter(
        {
            what.removeprefix("fault "): count
            for what, count in report.diary.done.items()
            if what.startswith("fault ")
        }
    )
    each = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    _line(
        console,
        f"\n{feeding.acked:,} jobs acknowledged, {len(feeding.answers):,} cancels answered,"
        f" {feeding.operated:,} dead letters replayed or discarded;"
        f" {report.looks.whole:,} looks in between ({report.looks.broken_off:,} broken off)",
    )
    _line(
        console,
        f"{sum(faults.values()):,} faults in {report.run.seconds:,.0f} s: {each};"
        f" {report.diary.done['kill -9']:,} kill -9",
    )


def _growth(report: Report, console: Console) -> None:
    growths = [one for one in report.run.watching.growths() if one.seconds >= _long(report)]
    for one in growths:
        verdict = "within a tenth" if one.is_bounded else "MORE than a tenth above it"
        _line(
            console,
            f"memory of {one.process}, {one.seconds:,.0f} s: warm {one.warm / MEGABYTE:,.1f} MB,"
            f" later at most {one.most / MEGABYTE:,.1f} MB over a minute, {verdict}",
        )
    rate = report.run.ceiling * (report.wanted.share or 0)
    for name in ("waiting", "unsettled"):
        samples = [getattr(one, name) for one in report.run.watching.backlog]
        if samples:
            verdict = "bounded" if is_bounded(samples, rate) else "NOT bounded"
            _line(console, f"{name}: at most {max(samples):,}, at last {samples[-1]:,}, {verdict}")


def _long(report: Report) -> float:
    """Which processes are told of: those that lived through half of the run at the least."""
    return report.run.seconds / 2


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
