"""What do the commands `processor dead-letters …` do?"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from processor.cli.telling import (
    Because,
    By,
    Json,
    JsonLines,
    id_of,
    iso,
    tell,
    tell_json,
    who,
    why,
)
from processor.cli.words import Command
from processor.domain.errors import ConfigurationError, ProcessorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from processor.bootstrap.operating import Operations
    from processor.domain.priority import Priority
    from processor.runtime.letters import Operated
    from processor.settings import Settings
    from projections.queries import DeadLetter, DeadLetters

AT_ONCE: Final = 32

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The dead letters' ids.")]
Type = Annotated[str | None, typer.Option("--type", metavar="NAME", help="Those of a job type.")]
Place = Annotated[
    str | None, typer.Option("--place", metavar="TEXT", help="Whose error was raised there.")
]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Those of a tenant.")]

app = typer.Typer(
    name="dead-letters",
    help="Look at jobs that failed for good; replay or discard them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", cls=Command)
def list_(
    type_: Type = None,
    place: Place = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    json: JsonLines = False,
) -> None:
    """List the open dead letters, in the order of death."""
    chosen = _Choice(type_, place, tenant)
    _run(lambda settings: _list(settings, chosen, limit, json=json))


@app.command(cls=Command)
def groups(json: JsonLines = False) -> None:
    """Count the open dead letters by what they died of, the largest group first."""
    _run(lambda settings: _groups(settings, json=json))


@app.command(cls=Command)
def show(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    json: Json = False,
) -> None:
    """Tell everything about one dead letter, open or closed."""
    letter = id_of(dead_letter, "dead letter")
    _run(lambda settings: _show(settings, letter, json=json))


@app.command(cls=Command)
def replay(
    ids: Ids = None,
    because: Because = None,
    type_: Type = None,
    place: Place = None,
    tenant: Tenant = None,
    priority: Annotated[
        str | None, typer.Option(metavar="LANE", help="The lane, instead of each job's own.")
    ] = None,
    by: By = None,
    json: JsonLines = False,
) -> None:
    """Start the jobs of dead letters anew, under the same ids and with their histories."""
    chosen = _Choice(type_, place, tenant, _ids(ids))
    chosen.check("replay")
    actor, reason, lane = who(by), why(because), _lane(priority)

    async def one(operations: Operations, letter: UUID) -> Operated:
        return await operations.operator.replay(letter, actor, reason, lane)

    _run(lambda settings: _operate(settings, chosen, one, "replayed", json=json))


@app.command(cls=Command)
def discard(
    ids: Ids = None,
    because: Because = None,
    type_: Type = None,
    place: Place = None,
    tenant: Tenant = None,
    by: By = None,
    json: JsonLines = False,
) -> None:
    """Close dead letters; their jobs stay failed, and entities that they block go on."""
    chosen = _Choice(type_, place, tenant, _ids(ids))
    chosen.check("discard")
    actor, reason = who(by), why(because)

    async def one(operations: Operations, letter: UUID) -> Operated:
        return await operations.operator.discard(letter, actor, reason)

    _run(lambda settings: _operate(settings, chosen, one, "discarded", json=json))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which dead letters are meant."""

    type: str | None
    place: str | None
    tenant: str | None
    ids: list[UUID] = field(default_factory=list)

    @property
    def filters(self) -> bool:
        return any(one is not None for one in (self.type, self.place, self.tenant))

    def check(self, verb: str) -> None:
        if bool(self.ids) == self.filters:
            raise ConfigurationError(
                f"say which dead letters to {verb}: either by their ids, or by --type, --place or"
                " --tenant"
            )

    async def letters(self, of: DeadLetters) -> AsyncIterator[UUID]:
        for one in self.ids:
            yield one
        if not self.ids:
            async for letter in self.open(of):
                yield letter.died.id

    def open(self, of: DeadLetters) -> AsyncIterator[DeadLetter]:
        return of.open(type=self.type, place=self.place, tenant=self.tenant)


def _ids(texts: Sequence[str] | None) -> list[UUID]:
    return [id_of(text, "dead letter") for text in texts or ()]


def _lane(text: str | None) -> Priority | None:
    from processor.domain.priority import Priority

    try:
        return None if text is None else Priority.parse(text)
    except ValueError as wrong:
        raise ConfigurationError(str(wrong)) from None


def _run(work: Callable[[Settings], Any]) -> None:
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    settings = find_settings()
    settings.need_database()
    run(work(settings))


async def _list(settings: Settings, chosen: _Choice, limit: int, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import as_json, line_of

    told = 0
    async with reading_letters(settings) as letters:
        async for letter in chosen.open(letters):
            if told == limit:
                sys.stderr.write(f"there are more than {limit:,}: --limit shows them\n")
                return
            told += 1
            if json:
                tell_json(as_json(letter))
            else:
                tell(line_of(letter))
    if not told and not json:
        sys.stderr.write("no dead letter is open\n")


async def _groups(settings: Settings, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import group_as_json, line_of_group

    async with reading_letters(settings) as letters:
        found = await letters.groups()
    for group in found:
        if json:
            tell_json(group_as_json(group))
        else:
            tell(line_of_group(group))
    if not found and not json:
        sys.stderr.write("no dead letter is open\n")


async def _show(settings: Settings, dead_letter: UUID, *, json: bool) -> None:
    from processor.bootstrap.operating import reading_letters
    from processor.cli.letters import as_json, describe

    async with reading_letters(settings) as letters:
        letter = await letters.by_id(dead_letter)
    if json:
        tell_json(as_json(letter), indent=2)
    else:
        tell(*describe(letter))


async def _operate(
    settings: Settings,
    chosen: _Choice,
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

    async with operating_on(settings) as operations:
        batch: list[UUID] = []
        async for letter in chosen.letters(operations.letters):
            batch.append(letter)
            if len(batch) == AT_ONCE:
                await asyncio.gather(*map(attempt, batch))
                batch = []
        await asyncio.gather(*map(attempt, batch))
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
