"""What does `processor dead-letters edit` do?"""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.telling import Because, By, Json, id_of, tell, tell_json, who, why
from processor.domain.errors import ConfigurationError, ParseError, ProcessorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from processor.domain.changes import Change
    from processor.runtime.handlers import Jobs
    from processor.settings import Settings


def edit(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    because: Because = None,
    payload: Annotated[
        str | None,
        typer.Option("--payload", metavar="FILE", help="The whole payload, JSON; - reads it here."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=JSON", help="""One place of it: legs.0.tail='"N1"'."""),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="MODULE:JOBS", help="It must fit this handler's model."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be changed.")
    ] = False,
    by: By = None,
    json: Json = False,
) -> None:
    """Replay a dead letter with another payload; what died keeps its own.

    The difference is told, here and in the job's history.
    """
    from processor.cli.application import find_jobs
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    letter = id_of(dead_letter, "dead letter")
    if (payload is None) == (not set_):
        raise ConfigurationError("say what it should be: either --payload FILE, or --set PATH=JSON")
    whole = None if payload is None else _read(payload)
    places = [_place(text) for text in set_ or ()]
    actor, reason = who(by), "" if dry_run else why(because)
    jobs = None if check is None else find_jobs(check)
    settings = find_settings()
    work = _edit(settings, letter, whole, places, jobs, (actor, reason), dry_run=dry_run)
    try:
        told = run(work)
    except ParseError as misfit:
        raise ProcessorError(f"it does not fit the handler's model: {misfit}") from misfit
    if json:
        tell_json(told, indent=2)
        return
    for one in told["changes"]:
        before, after = one["before"] or "nothing", one["after"] or "nothing"
        tell(f"{one['path'] or 'the payload'}: {before} -> {after}")
    if not dry_run:
        tell(f"{letter} replayed: generation {told['generation']} of job {told['job']}")


async def _edit(
    settings: Settings,
    letter: UUID,
    whole: object,
    places: Sequence[tuple[str, object]],
    jobs: Jobs | None,
    asked: tuple[str, str],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    from processor.bootstrap.operating import operating_on

    async with operating_on(settings) as operations:
        if places:
            record = await operations.letters.submission(letter)
            whole = _changed(json_text.loads(record.payload), places)
        if dry_run:
            changes = await operations.operator.changes(letter, whole, jobs)
            return {"dead_letter": letter, "changes": _plain(changes)}
        done = await operations.operator.edit(letter, whole, *asked, jobs=jobs)
    return {
        "dead_letter": letter,
        "job": done.job,
        "generation": done.generation,
        "changes": _plain(done.changes),
        "ours": done.first.ours,
    }


def _plain(changes: Sequence[Change]) -> list[dict[str, str | None]]:
    return [{"path": one.path, "before": one.before, "after": one.after} for one in changes]


def _read(file: str) -> object:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    return _parsed(text, file)


def _place(text: str) -> tuple[str, object]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ConfigurationError(f"{text!r} sets nothing: write PATH=JSON, as amount=5")
    return path, _parsed(value, path)


def _parsed(text: str, what: str) -> object:
    try:
        found: object = json_text.loads(text)
    except ValueError as error:
        hint = f"""; a text is written '"{text}"'""" if text.isalnum() else ""
        raise ConfigurationError(f"{what} is no JSON: {error}{hint}") from None
    return found


def _changed(payload: Any, places: Sequence[tuple[str, object]]) -> object:  # noqa: ANN401 - any JSON
    for path, value in places:
        *way, last = path.split(".")
        found = payload
        for name in way:
            found = _within(found, name, path)
        key = _key(found, last, path)
        if isinstance(found, list) and key == len(found):
            found.append(value)
        else:
            found[key] = value
    return payload


def _within(found: Any, name: str, path: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return found[_key(found, name, path)]
    except (KeyError, IndexError):
        raise ConfigurationError(f"the payload has no {name!r} on the way to {path}") from None


def _key(found: object, name: str, path: str) -> Any:  # noqa: ANN401 - a name or a number
    if isinstance(found, dict):
        return name
    if isinstance(found, list) and name.isascii() and name.isdigit() and int(name) <= len(found):
        return int(name)
    raise ConfigurationError(f"the payload has no place {path}: {name!r} names nothing there")
