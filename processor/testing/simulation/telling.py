"""What came of the jobs of a simulated run, so that a person can follow it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from processor.adapters.memory.clock import START
from processor.domain.events import (
    Cancelled,
    Completed,
    Discarded,
    Failed,
    Retrying,
    Started,
    Unknown,
)
from processor.domain.outcome import Outcome
from processor.testing.naming import CODEC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.domain.ids import JobId
    from processor.testing.cluster import Acked
    from processor.testing.operated import OperatedCluster

    Known = Started | Retrying | Completed | Failed | Cancelled | Discarded

SHORT: Final = 8
"""Letters of an id that nobody has numbered."""


class Line(NamedTuple):
    """Something that has happened."""

    at: float
    """Seconds after the start."""
    says: str


def lives(cluster: OperatedCluster, acked: Mapping[int, Acked]) -> list[Line]:
    """Every durable event that the journal tells of; jobs by their numbers in the plan."""
    numbers = {one.job: str(number) for number, one in sorted(acked.items(), reverse=True)}
    workers = {str(member.id)[:SHORT]: member.name for member in cluster.members}
    told: dict[Line, None] = {}
    for body in cluster.published():
        outcome = CODEC.decode_journal(body)
        if not isinstance(outcome, Outcome):
            continue
        who = _named(outcome, numbers)
        for event in outcome.events:
            if not isinstance(event, Unknown):
                told[Line((event.at - START) / 1e6, f"{who} {_said(event, workers)}")] = None
    return list(told)


def _named(outcome: Outcome, numbers: Mapping[JobId, str]) -> str:
    job = numbers.get(outcome.job) or f"{str(outcome.job)[:SHORT]} ({outcome.type})"
    return f"job {job}" + (f" g{outcome.generation}" if outcome.generation > 1 else "")


def _said(event: Known, workers: Mapping[str, str]) -> str:
    match event:
        case Started():
            worker = event.worker.rpartition("/")[2]
            return f"began its attempt {event.attempt} on {workers.get(worker, worker)}"
        case Retrying():
            return f"is to be tried again: {event.error.type} {event.error.message}"
        case Completed():
            return f"is complete: {event.result.decode()[:80]}"
        case Failed():
            return f"has failed: {event.reason}, {event.error.type} {event.error.message}"
        case Cancelled() | Discarded():
            return f"is {type(event).__name__.lower()} by {event.actor}"
        case _:
            assert_never(event)
