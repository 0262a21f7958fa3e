"""What does `processor workers` do?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from processor.cli.tables import tell_table
from processor.cli.telling import Json, iso, tell, tell_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.ports.views import WorkersSeen
    from processor.settings import Settings

_HEADS = ("worker", "release", "partitions", "types", "since", "beat, s ago", "")


def workers(json: Json = False) -> None:
    """Tell who works: release, partitions, sign of life, and what has run there for long."""
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    found = run(_workers(find_settings()))
    if json:
        tell_json(asdict(found), indent=2)
    else:
        tell_workers(found)


def tell_workers(found: WorkersSeen) -> None:
    """As a table, then what runs for long, then the partitions that nobody owns."""
    rows = [
        (
            str(one.worker.id)[:8],
            one.worker.release,
            ranges(one.partitions),
            len(one.worker.types),
            iso(one.started_at),
            one.worker.silent,
            "leaving" if one.worker.leaving else "",
        )
        for one in found.workers
    ]
    if rows:
        tell_table(_HEADS, rows)
    else:
        tell("no worker is known")
    for seen in found.workers:
        for run in seen.long_runs:
            tell(
                f"job {run.job} runs at {str(seen.worker.id)[:8]}, partition {run.partition}, for"
                f" long since {iso(run.since)}, run {run.runs}"
            )
    if found.without_owner:
        tell(f"without an owner: partitions {ranges(found.without_owner)}")


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in rising order, those in a row as one: 0-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


async def _workers(settings: Settings) -> WorkersSeen:
    from processor.bootstrap.viewing import viewing

    async with viewing(settings) as views:
        return await views.workers()
