"""What does `processor explain` do?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.telling import Json, id_of, tell, tell_json
from processor.domain.ids import JobId

if TYPE_CHECKING:
    from processor.domain.explanation import Explanation
    from processor.settings import Settings


def explain(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")], json: Json = False
) -> None:
    """Tell why a job is not running: the one thing that keeps it, in a sentence."""
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    job = JobId(id_of(job_id, "job"))
    found = run(_explain(find_settings(), job))
    if json:
        tell_json(asdict(found), indent=2)
    else:
        tell(found.sentence)


async def _explain(settings: Settings, job: JobId) -> Explanation:
    from processor.bootstrap.asking import explaining

    async with explaining(settings) as explainer:
        return await explainer.explain(job)
