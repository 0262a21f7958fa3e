"""What does `processor doctor` do?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from processor.cli.telling import Json, tell, tell_json
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.bootstrap.doctor import Report

UNWELL = 1


def doctor(json: Json = False) -> None:
    """Look at everything that workers rest on: a line for each fault, and how to mend it.

    Settings, Python's extensions, the broker, its topics and rights, the database, its tables and
    rights, the three clocks, and records that this release cannot read. Exit code 1 where something
    is wrong.
    """
    from processor.bootstrap.doctor import Doctor, Report
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    try:
        settings = find_settings()
    except ConfigurationError as error:
        report = Report()
        report.add("settings", str(error))
    else:
        report = run(Doctor(settings).examine())
    if json:
        tell_json(
            {
                "well": not report.wrong,
                "faults": [asdict(wrong) for wrong in report.wrong],
                "notes": report.notes,
            },
            indent=2,
        )
    else:
        _tell(report)
    if report.wrong:
        raise typer.Exit(UNWELL)


def _tell(report: Report) -> None:
    tell(*(f"{wrong.part}: {wrong}" for wrong in report.wrong))
    tell(*(f"note: {note}" for note in report.notes))
    if not report.wrong:
        tell("all is well")
