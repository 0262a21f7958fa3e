"""What does `processor dead-letters rehearse` do?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.telling import Json, id_of, tell, tell_json
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.testing.rehearsing import Rehearsal

FAILED = 1


def rehearse(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    application: Annotated[
        str, typer.Argument(metavar="MODULE:JOBS", help="Where your `Jobs` are, as Python names.")
    ],
    as_test: Annotated[
        str | None,
        typer.Option("--as-test", metavar="FILE", help="Also write it down as a test for pytest."),
    ] = None,
    json: Json = False,
) -> None:
    """Run a dead letter's handler in a transaction that is rolled back, and tell what it did.

    Follow-ups and progress are told, not sent; what it does to the outside world it does. Exits
    with 1 where it fails.
    """
    from processor.cli.application import find_jobs
    from processor.cli.finding import find_settings
    from processor.cli.running import run
    from processor.testing.as_test import pytest_file
    from processor.testing.rehearsing import rehearse as rehearsed

    letter = id_of(dead_letter, "dead letter")
    if as_test is not None and (":" not in application or Path(as_test).exists()):
        raise ConfigurationError(
            f"{as_test} is there already" if ":" in application else "say MODULE:JOBS whole"
        )
    settings = find_settings()
    settings.need_database()
    found = run(rehearsed(settings, letter, find_jobs(application)))
    if json:
        tell_json(_as_json(found), indent=2)
    else:
        tell(*_describe(found))
    if as_test is not None:
        Path(as_test).write_text(pytest_file(found, letter, application), encoding="utf-8")
        sys.stderr.write(f"{as_test} is written\n")
    if found.error is not None:
        sys.exit(FAILED)


def _describe(found: Rehearsal) -> list[str]:
    record = found.record
    lines = [f"{record.type} of entity {record.entity}, job {record.job}: nothing of it is kept"]
    lines += [f"progress {one.percent:g} % {one.note}".rstrip() for one in found.progress]
    lines += [f"would submit {one.type}, entity {one.entity}" for one in found.submitted]
    lines += [
        f"{one.table}: {one.inserted:,} rows inserted, {one.updated:,} updated, {one.deleted:,}"
        " deleted"
        for one in found.touched
    ]
    if found.error is None:
        lines.append(f"complete after {found.seconds:.3f} s: {found.result!r}")
    else:
        lines += found.traceback.splitlines()
        lines.append(f"failed after {found.seconds:.3f} s: {type(found.error).__name__}")
    return lines


def _as_json(found: Rehearsal) -> dict[str, Any]:
    error = found.error
    return {
        "job": found.record.job,
        "type": found.record.type,
        "result": found.result,
        "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
        "traceback": found.traceback,
        "touched": [one._asdict() for one in found.touched],
        "progress": [one._asdict() for one in found.progress],
        "submitted": [
            {"id": one.id, "type": one.type, "entity": one.entity, "payload": one.payload}
            for one in found.submitted
        ],
        "seconds": found.seconds,
    }
