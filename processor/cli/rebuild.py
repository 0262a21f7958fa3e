"""What does `processor rebuild` do?"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.telling import Json, tell_json

if TYPE_CHECKING:
    from processor.settings import Settings
    from projections.rebuild import Rebuild, Rebuilt


def rebuild(
    although_different: Annotated[
        bool,
        typer.Option("--although-different", help="Take the tables' place also where they differ."),
    ] = False,
    json: Json = False,
) -> None:
    """Fold the log again from its start, compare it with the tables, and take their place.

    Projectors, workers and whoever asks go on meanwhile. Exits with 1, and changes nothing, where
    the log and the tables differ. Ctrl-C at any time leaves everything as it was.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    began = time.monotonic()
    rebuilt = run(_rebuild(settings, although_different=although_different))
    seconds = time.monotonic() - began
    if json:
        tell_json({**asdict(rebuilt), "seconds": seconds}, indent=2)
    else:
        tell(rebuilt, seconds)
    if rebuilt.comparison.different and not rebuilt.replaced:
        raise typer.Exit(1)


async def _rebuild(settings: Settings, *, although_different: bool) -> Rebuilt:
    from processor.bootstrap.pruning import rebuilding

    async with rebuilding(settings) as begun:
        showing = asyncio.create_task(_show(begun))
        try:
            return await begun.run(although_different=although_different)
        finally:
            showing.cancel()
            await asyncio.wait({showing})


async def _show(begun: Rebuild) -> None:
    """A bar on standard error, where that is a terminal, until cancelled."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    hidden = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bar:
        line = bar.add_task(begun.stage, total=None)
        while True:
            # A record that comes meanwhile is folded, too.
            done = min(begun.done, begun.total)
            total = begun.total or None
            bar.update(line, description=begun.stage, completed=done, total=total)
            await asyncio.sleep(0.1)


def tell(rebuilt: Rebuilt, seconds: float) -> None:
    """What was done, and every difference up to a number."""
    completed, comparison = rebuilt.completed, rebuilt.comparison
    rate = round(rebuilt.records / max(seconds, 1e-3))
    lines = [f"{rebuilt.records:,} records folded again ({seconds:.1f} s, {rate:,}/s)"]
    if completed.copied:
        lines.append(
            f"{completed.copied:,} jobs reach further back than the log:"
            " copied from the tables as they are, not compared"
        )
    if completed.forgotten:
        lines.append(
            f"{completed.forgotten:,} jobs that the log still tells of are over and forgotten:"
            " left out"
        )
    lines.append(f"{comparison.rows:,} rows compared, {comparison.different:,} differ")
    lines += [f"  {one.table} {one.row}: {one.what}" for one in comparison.differences]
    more = comparison.different - len(comparison.differences)
    if more:
        lines.append(f"  … and {more:,} more")
    lines.append(
        "what was folded has taken the place of the tables"
        if rebuilt.replaced
        else "the tables stay as they were; --although-different would replace them"
    )
    sys.stdout.write("\n".join(lines) + "\n")
