"""What do `processor dead-letters replay` and `discard` do?

A few letters by their ids at once; what filters choose becomes a plan, which this process runs and
any worker goes on with.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.plan_running import made_and_run, tell_preview
from processor.cli.selecting import (
    After,
    Before,
    Discarded,
    Filters,
    Ids,
    Overtaken,
    Place,
    Release,
    Tenant,
    Type,
)
from processor.cli.telling import Because, By, JsonLines, iso, tell, tell_json, who, why
from processor.domain.errors import ConfigurationError, ProcessorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from processor.bootstrap.operating import Operations
    from processor.domain.priority import Priority
    from processor.domain.selection import Selection
    from processor.ports.plans import Draft
    from processor.runtime.letters import Operated
    from processor.settings import Settings

AT_ONCE = 32

Rate = Annotated[
    float | None, typer.Option("--rate", metavar="N", help="At most so many letters a second.")
]
Canary = Annotated[
    int | None,
    typer.Option("--canary", metavar="K", help="Replay so many first, and wait for their ends."),
]
StopAbove = Annotated[
    str | None,
    typer.Option(
        "--stop-above", metavar="SHARE", help="Stop if more of them fail: 10% (so by default)."
    ),
]
Expect = Annotated[
    int | None,
    typer.Option("--expect", metavar="N", min=0, help="Only if exactly so many are chosen."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be chosen.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="Leave it to the workers, and do not wait for its end.")
]
Lane = Annotated[
    str | None, typer.Option("--priority", metavar="LANE", help="The lane, instead of their own.")
]


def replay(
    ids: Ids = None,
    *,
    because: Because = None,
    type_: Type = None,
    place: Place = None,
    release: Release = None,
    tenant: Tenant = None,
    after: After = None,
    before: Before = None,
    overtaken: Overtaken = None,
    discarded: Discarded = False,
    priority: Lane = None,
    rate: Rate = None,
    canary: Canary = None,
    stop_above: StopAbove = None,
    expect: Expect = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    by: By = None,
    json: JsonLines = False,
) -> None:
    """Start the jobs of dead letters anew, under the same ids and with their histories.

    What filters choose becomes a plan, which keeps the order of each entity: Ctrl-C stops it, and
    where this process dies a worker goes on with it.
    """
    from processor.ports.operations import OperationKind
    from processor.ports.plans import Draft

    filters = Filters(ids, type_, place, release, tenant, after, before, overtaken, discarded)
    selection = filters.chosen("replay")
    lane, share = _lane(priority), _share(stop_above)
    if dry_run:
        _run(lambda settings: tell_preview(settings, selection, json=json))
        return
    actor, reason = who(by), why(because)
    if not filters.ids:
        draft = Draft(OperationKind.REPLAY, selection, actor, reason, lane, rate, canary, share)
        _run_plan(draft, expect, detach=detach, json=json)
        return

    async def one(operations: Operations, letter: UUID) -> Operated:
        return await operations.operator.replay(letter, actor, reason, lane)

    _refuse_for_ids(rate, canary, share, expect, detach=detach)
    _run(lambda settings: _operate(settings, selection, one, "replayed", json=json))


def discard(
    ids: Ids = None,
    *,
    because: Because = None,
    type_: Type = None,
    place: Place = None,
    release: Release = None,
    tenant: Tenant = None,
    after: After = None,
    before: Before = None,
    overtaken: Overtaken = None,
    rate: Rate = None,
    expect: Expect = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    by: By = None,
    json: JsonLines = False,
) -> None:
    """Close dead letters; their jobs stay failed, and entities that they block go on.

    What filters choose needs --expect. A replay with --discarded undoes it, for 7 days.
    """
    from processor.ports.operations import OperationKind
    from processor.ports.plans import Draft

    filters = Filters(ids, type_, place, release, tenant, after, before, overtaken)
    selection = filters.chosen("discard")
    if dry_run:
        _run(lambda settings: tell_preview(settings, selection, json=json))
        return
    actor, reason = who(by), why(because)
    if not filters.ids:
        if expect is None:
            raise ConfigurationError(
                "say how many dead letters you expect to discard: --expect N; --dry-run counts them"
            )
        draft = Draft(OperationKind.DISCARD, selection, actor, reason, rate=rate)
        _run_plan(draft, expect, detach=detach, json=json)
        return

    async def one(operations: Operations, letter: UUID) -> Operated:
        return await operations.operator.discard(letter, actor, reason)

    _refuse_for_ids(rate, None, None, expect, detach=detach)
    _run(lambda settings: _operate(settings, selection, one, "discarded", json=json))


def _refuse_for_ids(*options: object, detach: bool) -> None:
    if detach or any(one is not None for one in options):
        raise ConfigurationError(
            "--rate, --canary, --stop-above, --expect and --detach are for what filters choose"
        )


def _lane(text: str | None) -> Priority | None:
    from processor.domain.priority import Priority

    try:
        return None if text is None else Priority.parse(text)
    except ValueError as wrong:
        raise ConfigurationError(str(wrong)) from None


def _share(text: str | None) -> float | None:
    """A share as people write it: 10%, 0.1."""
    if text is None:
        return None
    number, percent, rest = text.partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share < 1:
        raise ConfigurationError(f"{text!r} is no share: write 10% or 0.1, below 100%")
    return share


def _run(work: Callable[[Settings], Any]) -> None:
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    settings.need_database()
    run(work(settings))


def _run_plan(draft: Draft, expect: int | None, *, detach: bool, json: bool) -> None:
    _run(lambda settings: made_and_run(settings, draft, expect, detach=detach, json=json))


async def _operate(
    settings: Settings,
    selection: Selection,
    one: Callable[[Operations, UUID], Awaitable[Operated]],
    done: str,
    *,
    json: bool,
) -> None:
    """Do it to each, a number at once; what one letter refuses does not keep the others."""
    from processor.bootstrap.operating import operating_on

    refused: list[ProcessorError] = []
    count = 0

    async def attempt(letter: UUID) -> None:
        nonlocal count
        try:
            operated = await one(operations, letter)
        except (ConfigurationError, Unavailable):
            raise
        except ProcessorError as error:
            refused.append(error)
            return
        count += 1
        _tell_one(letter, operated, done, json=json)

    ids = selection.ids
    async with operating_on(settings) as operations:
        for start in range(0, len(ids), AT_ONCE):
            await asyncio.gather(*map(attempt, ids[start : start + AT_ONCE]))
    if refused:
        total = count + len(refused)
        more = f"{len(refused):,} of {total:,} were not {done}, the first: " if total > 1 else ""
        raise ProcessorError(f"{more}{refused[0]}")
    if count != 1:
        sys.stderr.write(f"{count:,} dead letters {done}\n")


def _tell_one(letter: UUID, operated: Operated, done: str, *, json: bool) -> None:
    first = operated.first
    if json:
        tell_json(
            {
                "dead_letter": letter,
                "job": operated.job,
                "generation": operated.generation,
                "first": {"by": first.actor, "because": first.reason, "at": iso(first.at)},
                "ours": first.ours,
            }
        )
        return
    was = "" if first.ours else f"; {first.actor} was first, {iso(first.at)}: {first.reason}"
    what = f"generation {operated.generation} of job {operated.job}"
    tell(f"{letter} {done}: {what}{was}" if done == "replayed" else f"{letter} {done}{was}")
