"""What does `processor status` do?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.telling import Json

if TYPE_CHECKING:
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.settings import Settings


def status(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The job's id; without one, --key.")
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="The type of a job with a key.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="The dedupe key it was given.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="NAME", help="The entity, if it was given.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="NAME", help="The tenant, if it has one.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell the life of a job: its state, and every step with its time.

    A job with a dedupe key is found by that, its type, and the tenant and entity as given: its id
    is computed of them.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    job = _named(job_id, type_, key, entity, tenant)
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


def _named(
    job_id: str | None, type_: str | None, key: str | None, entity: str | None, tenant: str | None
) -> JobId:
    from processor.domain.errors import ConfigurationError
    from processor.domain.ids import job_of_dedupe_key

    of_key = [given for given in (type_, key, entity, tenant) if given is not None]
    if job_id is not None and not of_key:
        return _job(job_id)
    if job_id is not None:
        raise ConfigurationError("name a job by its id or by --type and --key, not by both")
    if not type_ or not key:
        raise ConfigurationError(
            "which job is meant is not said: name its id, or its --type and --key (and --tenant"
            " and --entity as they were given)"
        )
    return job_of_dedupe_key(tenant, type_, entity, key)


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
