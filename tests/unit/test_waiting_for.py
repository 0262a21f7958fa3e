"""Is it told what a job waits for?"""

from __future__ import annotations

from uuid import UUID

import pytest

from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.holds import MemoryHolds
from processor.domain.events import Completed, Discarded, Durable, Failed, Queued, Retrying, Started
from processor.domain.ids import JobId
from processor.domain.job import State
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import JobStatus, status_of
from processor.ports.holds import HoldKind
from processor.ports.waiting_room import Wait, Waiting, WaitingState
from processor.runtime.waiting_for import Reasons
from tests.projecting import ERROR

JOB = JobId(UUID(int=7))
QUEUED = Queued(1, 1, Priority.LOW, 0, 3, "mail", "N1", "acme")
STARTED = Started(2, 1, 1, "w", "r", 0, Priority.LOW)
FAILED = Failed(3, 1, ERROR.reason, ERROR)
RETRYING = Retrying(3, 1, ERROR, 4)


def status(*events: Durable) -> JobStatus:
    outcome = Outcome(JOB, 1, 1, "mail", "N1", "acme", Priority.LOW, 0, 3, events)
    found = status_of(JOB, [QUEUED], [outcome] if events else [])
    assert found is not None
    return found


class OneRow:
    """A waiting room with one row, or none."""

    def __init__(self, state: WaitingState | None, hold: int | None, generation: int) -> None:
        self.waiting = None
        if state is not None:
            wait = Wait(JOB, generation, 1, state, Priority.LOW, 3, b"", hold=hold)
            self.waiting = Waiting(wait, 0, 1, 0)

    async def row(self, job: JobId) -> Waiting | None:
        assert job == JOB
        return self.waiting


class Asked:
    """Reasons over one row and some holds."""

    def __init__(
        self, state: WaitingState | None = None, hold: int | None = None, generation: int = 1
    ) -> None:
        self.holds = MemoryHolds(MemoryDatabase.pinned(1, ManualClock()))
        self.reasons = Reasons(OneRow(state, hold, generation), self.holds)

    async def of(self, *events: Durable) -> str | None:
        return await self.reasons.of(status(*events))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (HoldKind.TYPE, "mail"),
        (HoldKind.ENTITY, "N1"),
        (HoldKind.TENANT, "acme"),
        (HoldKind.LANE, "low"),
    ],
)
@pytest.mark.parametrize("events", [(), (STARTED, RETRYING)], ids=["queued", "retrying"])
async def test_a_hold_is_named_whether_or_not_a_worker_has_met_it(
    kind: HoldKind, value: str, events: tuple[Durable, ...]
) -> None:
    asked = Asked()
    await asked.holds.hold(kind, f"not {value}", "eve", "another")
    assert await asked.of(*events) is None
    await asked.holds.hold(kind, value, "ada", "the gate is closed")
    told = f"the release of {kind} {value}, held by ada: the gate is closed"
    assert await asked.of(*events) == told
    await asked.holds.release((kind, value), "ada", "it is open")
    assert await asked.of(*events) is None


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (WaitingState.HELD, "a handler of its type"),
        (WaitingState.QUEUED, "its turn among the jobs of its entity"),
        (WaitingState.RETRYING, None),
    ],
)
async def test_a_row_tells_what_no_hold_does(state: WaitingState, told: str | None) -> None:
    assert await Asked(state).of() == told


async def test_a_row_of_a_hold_that_was_just_released_is_about_to_go_on() -> None:
    assert await Asked(WaitingState.HELD, hold=5).of() is None


async def test_the_hold_of_a_breaker_is_named_where_it_keeps_the_row() -> None:
    asked = Asked(WaitingState.HELD, hold=1)
    await asked.holds.trip("mail", "7", "10 jobs failed one after the other", 5.0)
    told = "the release of type mail, held by the breaker: 10 jobs failed one after the other"
    assert await asked.of() == told
    asked = Asked(WaitingState.HELD, hold=2)
    await asked.holds.trip("mail", "7", "10 jobs failed one after the other", 5.0)
    assert await asked.of() is None, "a worker of another release runs it"


async def test_a_row_of_another_generation_tells_nothing() -> None:
    assert await Asked(WaitingState.QUEUED, generation=2).of() is None


async def test_a_failed_job_that_blocks_its_entity_waits_for_an_operator() -> None:
    blocking = WaitingState.BLOCKING
    told = await Asked(blocking).of(STARTED, FAILED)
    assert told == "an operator, who replays or discards it; its entity waits with it"
    assert await Asked().of(STARTED, FAILED) is None
    assert await Asked(blocking, generation=2).of(STARTED, FAILED) is None
    assert await Asked(blocking).of(STARTED, FAILED, Discarded(4, "ada")) is None


async def test_what_runs_or_is_complete_waits_for_nothing() -> None:
    asked = Asked(WaitingState.RUNNING)
    await asked.holds.hold(HoldKind.TYPE, "mail", "ada", "why")
    assert status(STARTED).state is State.PROCESSING
    assert await asked.of(STARTED) is None
    assert await asked.of(STARTED, Completed(3, b"null")) is None
