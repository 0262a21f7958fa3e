"""What is the work: payloads of 200 bytes for 10,000 entities, in all four lanes?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from processor import Submission
from processor.domain.priority import LANES, Priority

ENTITIES: Final = 10_000
NOTE: Final = "x" * 165
"""Makes a payload of 200 bytes."""

EFFECTS: Final = """
CREATE SCHEMA bench;
CREATE TABLE bench.effect (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job    uuid NOT NULL,
    entity text NOT NULL,
    number integer NOT NULL,
    note   text NOT NULL
);
"""
INSERT: Final = "INSERT INTO bench.effect (job, entity, number, note) VALUES ($1, $2, $3, $4)"


class Errand(BaseModel):
    """The payload of every job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    note: str
    sent: int = 0
    """When it was submitted, in nanoseconds since the epoch; where latency is asked for."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of job, and what it leaves behind."""

    type: str
    effects: bool = True
    """Whether each job leaves a row in `bench.effect`."""
    application: str = "processor.bench.application:jobs"
    """Whose handler does it, as `processor worker` is told."""


def payload(number: int, sent: int = 0) -> dict[str, int | str]:
    """The payload of one job; `sent` as in `Errand`."""
    return {"number": number, "note": NOTE, "sent": sent}


def entity(number: int) -> str:
    """The entity of one job."""
    return f"entity-{number % ENTITIES:07}"


def submissions(type_: str, jobs: int, lane: Priority | None = None) -> Iterator[Submission]:
    """So many, one lane after the other unless one is named; an entity's jobs are in all lanes."""
    for number in range(jobs):
        lane_of_it = LANES[(number + number // ENTITIES) % len(LANES)] if lane is None else lane
        yield Submission(type_, payload(number), entity=entity(number), priority=lane_of_it)
