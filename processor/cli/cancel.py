"""What does `processor cancel` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from processor.cli.telling import Because, By, Json, id_of, tell, tell_json, who, why

if TYPE_CHECKING:
    from processor.runtime.cancelling import Cancellation
    from processor.settings import Settings


def cancel(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    because: Because = None,
    by: By = None,
    json: Json = False,
) -> None:
    """End a job that has not ended; a running handler is stopped and rolled back.

    A job that is complete or failed stays what it is, and the answer says so.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    job, actor, reason = id_of(job_id, "job"), who(by), why(because)
    found = run(_cancel(find_settings(), job, actor, reason))
    if json:
        tell_json(
            {
                "job": found.job,
                "generation": found.generation,
                "was": found.was,
                "now": found.now,
                "ours": found.ours,
            },
            indent=2,
        )
    elif found.ours:
        tell(f"{found.job} was {found.was} and is cancelled")
    else:
        tell(f"{found.job} is {found.now} and stays so")


async def _cancel(settings: Settings, job: UUID, by: str, because: str) -> Cancellation:
    from processor.bootstrap.operating import operating_on
    from processor.domain.ids import JobId

    async with operating_on(settings) as operations:
        return await operations.operator.cancel(JobId(job), by, because)
