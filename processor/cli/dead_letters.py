"""What do `processor dead-letters list, groups and show` do?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.editing import edit
from processor.cli.rehearsing import rehearse
from processor.cli.replaying import discard, replay
from processor.cli.selecting import (
    After,
    Before,
    Discarded,
    Filters,
    Overtaken,
    Place,
    Release,
    Tenant,
    Type,
)
from processor.cli.telling import Json, JsonLines, id_of, tell, tell_json
from processor.cli.words import Command

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from uuid import UUID

    from processor.domain.selection import Selection
    from processor.settings import Settings

app = typer.Typer(
    name="dead-letters",
    help="Look at jobs that failed for good; replay, edit, rehearse or discard them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", cls=Command)
def list_(
    *,
    type_: Type = None,
    place: Place = None,
    release: Release = None,
    tenant: Tenant = None,
    after: After = None,
    before: Before = None,
    overtaken: Overtaken = None,
    discarded: Discarded = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    json: JsonLines = False,
) -> None:
    """List the open dead letters, in the order of death."""
    chosen = Filters(None, type_, place, release, tenant, after, before, overtaken, discarded)
    selection = chosen.selection()
    settings = found_settings()
    _run(_list(settings, selection, limit, json=json))


@app.command(cls=Command)
def groups(
    *,
    type_: Type = None,
    place: Place = None,
    release: Release = None,
    tenant: Tenant = None,
    after: After = None,
    before: Before = None,
    overtaken: Overtaken = None,
    discarded: Discarded = False,
    json: JsonLines = False,
) -> None:
    """Count the open dead letters by what they died of and of which release, the largest first."""
    chosen = Filters(None, type_, place, release, tenant, after, before, overtaken, discarded)
    selection = chosen.selection()
    settings = found_settings()
    _run(_groups(settings, selection, json=json))


@app.command(cls=Command)
def show(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    json: Json = False,
) -> None:
    """Tell everything about one dead letter, open or closed."""
    letter = id_of(dead_letter, "dead letter")
    settings = found_settings()
    _run(_show(settings, letter, json=json))


for _command in (replay, discard, edit, rehearse):
    app.command(cls=Command)(_command)


def found_settings() -> Settings:
    """The settings, with a database; raises `ConfigurationError`."""
    from processor.cli.finding import find_settings

    settings = find_settings()
    settings.need_database()
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    from processor.cli.running import run

    run(work)


async def _list(settings: Settings, selection: Selection, limit: int, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import as_json, line_of

    told = 0
    async with reading_letters(settings) as letters:
        async for letter in letters.open(selection):
            if told == limit:
                sys.stderr.write(f"there are more than {limit:,}: --limit shows them\n")
                return
            told += 1
            if json:
                tell_json(as_json(letter))
            else:
                tell(line_of(letter))
    if not told and not json:
        sys.stderr.write(f"no dead letter is {_state(selection)}\n")


async def _groups(settings: Settings, selection: Selection, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import group_as_json, tell_groups

    async with reading_letters(settings) as letters:
        found = await letters.groups(selection)
    if json:
        for group in found:
            tell_json(group_as_json(group))
    elif found:
        tell_groups(found)
    else:
        sys.stderr.write(f"no dead letter is {_state(selection)}\n")


async def _show(settings: Settings, dead_letter: UUID, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import as_json, describe

    async with reading_letters(settings) as letters:
        letter = await letters.by_id(dead_letter)
    if json:
        tell_json(as_json(letter), indent=2)
    else:
        tell(*describe(letter))


def _state(selection: Selection) -> str:
    return "discarded" if selection.discarded else "open"
