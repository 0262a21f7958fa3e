"""What does `processor overview` do?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.tables import tell_table
from processor.cli.telling import Json, iso, tell, tell_json
from processor.cli.workers import tell_workers
from processor.ports.situations import COUNTED
from processor.runtime.held import sentence

if TYPE_CHECKING:
    from processor.runtime.overview import Overview
    from processor.settings import Settings

_LANES = ("lane", "waiting", "oldest since", "per second", "share, %")
_LETTERS = ("dead letters", "type", "place", "first", "last")
_CLEAR = "\033[H\033[2J"


def overview(
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3_600, help="Seconds between looks.")] = 1.0,
) -> None:
    """Tell how everything stands: lanes, holds, dead letters, blocked entities, workers."""
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    run(_overview(find_settings(), every if watch else None, json=json))


async def _overview(settings: Settings, every: float | None, *, json: bool) -> None:
    import asyncio
    import sys

    from processor.bootstrap.viewing import overseeing

    async with overseeing(settings) as overseer:
        while True:
            seen = await overseer.look()
            if json:
                tell_json(_as_json(seen), indent=None if every else 2)
            else:
                if every and sys.stdout.isatty():
                    sys.stdout.write(_CLEAR)
                _tell(seen)
            sys.stdout.flush()
            if every is None:
                return
            await asyncio.sleep(every)


def _tell(seen: Overview) -> None:
    rows = [
        (lane.lane.label, lane.waiting, iso(lane.oldest), lane.rate, 100 * lane.share)
        for lane in seen.lanes
    ]
    tell_table(_LANES, rows)
    tell(
        f"{seen.waiting_room:,} jobs in the waiting room, about;"
        f" {_counted(seen.retrying)} entities wait for a retry,"
        f" {_counted(seen.blocked)} for an operator"
    )
    for hold in seen.held:
        tell(sentence(hold))
    if seen.dead_letters:
        letters = [
            (group.letters, group.type, group.place, iso(group.first_at), iso(group.last_at))
            for group in seen.dead_letters
        ]
        tell_table(_LETTERS, letters)
    else:
        tell("no dead letter is open")
    tell_workers(seen.workers)


def _counted(entities: int) -> str:
    """A number that is not counted to the end where it is large."""
    return f"{entities:,} or more" if entities >= COUNTED else f"{entities:,}"


def _as_json(seen: Overview) -> dict[str, Any]:
    return {
        **asdict(seen),
        "lanes": [{**asdict(lane), "lane": lane.lane.label} for lane in seen.lanes],
        "dead_letters": [group._asdict() for group in seen.dead_letters],
    }
