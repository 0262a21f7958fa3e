"""Why does a job not run?"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.domain.ids import JobId

    Detail = str | int | float | None


class Cause(StrEnum):
    """The one thing that keeps a job where it is: what would have to change first."""

    ENDED = "ended"
    BLOCKING = "blocking"
    """It failed, and its entity waits with it for an operator."""
    RUNNING = "running"
    RETRYING = "retrying"
    """An attempt failed; it waits for the time of the next one."""
    SCHEDULED = "scheduled"
    HELD = "held"
    NO_HANDLER = "no_handler"
    """No worker that lives has a handler for its type."""
    ENTITY_BLOCKED = "entity_blocked"
    """A dead letter of its entity waits for an operator."""
    BEHIND_JOB = "behind_job"
    """Another job of its entity goes first."""
    NO_OWNER = "no_owner"
    """No worker that lives owns its partition."""
    LOCKED = "locked"
    """A process that is not the partition's owner holds its entity's lock."""
    BEHIND_LANE = "behind_lane"
    """Its lane has other records before it."""
    WAITING_FOR_SLOT = "waiting_for_slot"
    """It is read; a slot of its worker or its entity's turn is what is missing."""
    NOT_PROJECTED = "not_projected"
    """It is done, and the history does not tell of it yet."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one job stays where it is: a sentence for people, and what it says for programs.

    Times among the details are microseconds since the epoch, ages and estimates seconds.
    """

    job_id: JobId
    cause: Cause
    sentence: str
    details: Mapping[str, Detail] = field(default_factory=dict)
