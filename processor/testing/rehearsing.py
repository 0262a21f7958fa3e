"""What would become of a dead letter's job now, if its handler were run and nothing of it kept?

In a transaction that is rolled back; what it tells of its progress and what it would submit is
caught, not sent. What it does to the outside world it does.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processor
from processor.adapters.postgres.rehearsal import on_stage
from processor.bootstrap.operating import reading_letters
from processor.domain.errors import ConfigurationError
from processor.testing.running import Progress, run_record

if TYPE_CHECKING:
    from uuid import UUID

    from processor.adapters.postgres.rehearsal import Touched
    from processor.adapters.postgres.sessions import Sessions
    from processor.domain.submission import SubmissionRecord
    from processor.runtime.handlers import Jobs
    from processor.runtime.submission import Submission
    from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it; nothing is kept."""

    record: SubmissionRecord
    """What died, as the handler was given it."""
    result: Any
    error: BaseException | None
    traceback: str
    touched: tuple[Touched, ...]
    """Rows written, by table."""
    progress: tuple[Progress, ...]
    submitted: tuple[Submission, ...]
    """The follow-ups it would have."""
    seconds: float


def _told(error: BaseException) -> str:
    """The traceback, from the application's own code on."""
    ours = str(Path(processor.__file__).parent)
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
        frames = frames.tb_next
    whole = traceback.format_exception(type(error), error, frames or error.__traceback__)
    return "".join(whole)


async def rehearse(
    settings: Settings, dead_letter: UUID, jobs: Jobs, *, sessions: Sessions | None = None
) -> Rehearsal:
    """Run the handler of a dead letter's type as the next generation would be, and undo it.

    Raises `DeadLetterNotFound`, `InvalidSubmission` for a record that cannot be decoded, and
    `ConfigurationError` where no handler is there; what the handler raises is told.
    """
    async with reading_letters(settings) as letters:
        record = await letters.submission(dead_letter)
    handler = jobs.find(record.type)
    if handler is None:
        types = ", ".join(sorted(jobs)) or "none"
        raise ConfigurationError(f"there is no handler for {record.type}; there are: {types}")
    result: Any = None
    error: BaseException | None = None
    told = ""
    heard: list[Progress] = []
    taken: list[Submission] = []
    began = time.monotonic()
    async with on_stage(settings.need_database(), sessions) as stage:
        try:
            following = replace(record, generation=record.generation + 1)
            ran = await run_record(handler, following, stage, heard, taken)
            await stage.end()
            result = ran
        except Exception as raised:  # noqa: BLE001 - whatever the handler does is told
            error, told = raised, _told(raised)
        seconds = time.monotonic() - began
        touched = await stage.touched()
    return Rehearsal(record, result, error, told, touched, tuple(heard), tuple(taken), seconds)
