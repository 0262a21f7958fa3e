"""What does `processor status` do?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.settings import Settings


def status(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Tell the life of a job: its state, and every step with its time."""
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    job = _job(job_id)
    settings = find_settings()
    settings.need_database()
    found = run(_ask(settings, job))
    if json:
        from pydantic_core import to_json

        from projections.timeline import as_json

        sys.stdout.write(to_json(as_json(found), indent=2).decode() + "\n")
    else:
        from processor.cli.telling import tell
        from projections.timeline import describe

        tell(*describe(found))


def _job(text: str) -> JobId:
    from uuid import UUID

    from processor.domain.errors import JobNotFound
    from processor.domain.ids import JobId

    try:
        return JobId(UUID(text))
    except ValueError:
        raise JobNotFound(f"{text!r} is no job id: an id has 32 hexadecimal digits") from None


async def _ask(settings: Settings, job: JobId) -> JobStatus:
    from processor.bootstrap.asking import asking

    async with asking(settings) as asker:
        return await asker.status(job)
