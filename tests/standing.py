"""At which step of an attempt does a parent stand still, so that its worker can be killed there?

An application for a worker's process, whose parents submit follow-ups. A parent stands still for
ever at the step that its payload names, before or after a call of one of the worker's ports, and
says so by a file; to the next process that file says not to stand again. `install` steps into the
ports, and is called in the worker's process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from processor import Jobs, Reject, Request, Retry, Submission, TryAgain
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.postgres.ledger import PostgresLedger
from processor.adapters.postgres.ownership import PostgresOwnership
from processor.adapters.postgres.transactions import PostgresTransaction, PostgresTransactions
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.domain.outcome import Outcome
from processor.runtime import publisher
from tests import chaos
from tests.commands import CODEC

APPLICATION: Final = "from tests.standing import install, jobs\n\ninstall()\n"
TABLE: Final = "CREATE TABLE parent_effect (job uuid NOT NULL)"
FOLLOW_UPS: Final = 3
"""Of a parent that completes; the last one is a chain."""
OF_A_CHAIN: Final = 2
FOLDER: Final = Path("standing")

jobs: Final[Jobs] = chaos.jobs
once = Retry(attempts=1)


class Parent(BaseModel):
    step: str = ""
    """Where it stands still; nowhere where there is none."""
    below: str = ""
    """Where its chain does."""


class Steps:
    """Who is to stand where, in this process."""

    def __init__(self) -> None:
        self._wanted: dict[UUID, str] = {}
        self.told: set[UUID] = set()
        """Whose end the journal has acknowledged."""

    def arm(self, job: UUID, step: str) -> None:
        if step and not (FOLDER / str(job)).exists():
            self._wanted[UUID(int=job.int)] = step

    def is_at(self, job: UUID, step: str) -> bool:
        return self._wanted.get(UUID(int=job.int)) == step

    async def come(self, jobs: Iterable[UUID], step: str) -> None:
        """Stand still where one of these is to stand at this step."""
        for job in jobs:
            if self.is_at(job, step):
                (FOLDER / str(job)).touch()
                await asyncio.Event().wait()


STEPS: Final = Steps()


async def submit(request: Request[Parent], more: int = 0) -> None:
    """Submit a parent's follow-ups, and `more` in a run that does not complete."""
    STEPS.arm(request.job_id, request.payload.step)
    await STEPS.come([request.job_id], "handler before")
    number = {"number": request.cluster.run}
    request.submit(Submission("effect", number, entity="shared"))
    request.submit(Submission("effect", number))
    request.submit(Submission("chain", {"step": request.payload.below}))
    request.submit(Submission("effect", number) for _ in range(more))
    await STEPS.come([request.job_id], "handler after")


async def write_and_submit(request: Request[Parent], more: int = 0) -> None:
    STEPS.arm(request.job_id, request.payload.step)
    connection = await request.connection()
    await connection.execute("INSERT INTO parent_effect VALUES ($1)", request.job_id)
    await submit(request, more)


@jobs.handler("plain parent", retry=once)
async def plain_parent(request: Request[Parent]) -> None:
    await submit(request)


@jobs.handler("parent", retry=once)
async def parent(request: Request[Parent]) -> None:
    await write_and_submit(request)


@jobs.handler("later parent", retry=once)
async def later_parent(request: Request[Parent]) -> None:
    if request.cluster.run == 1:
        await write_and_submit(request, more=2)
        raise TryAgain(0.05)
    await write_and_submit(request)


@jobs.handler("failing parent", retry=once)
async def failing_parent(request: Request[Parent]) -> None:
    await write_and_submit(request)
    raise Reject("after it has submitted")


@jobs.handler("chain", retry=once)
async def chain(request: Request[Parent]) -> None:
    STEPS.arm(request.job_id, request.payload.step)
    request.submit(Submission("effect", {"number": one}) for one in range(OF_A_CHAIN))


def install() -> None:
    """Step into the ports of this process; its publisher never runs out of appends under way."""
    FOLDER.mkdir(exist_ok=True)
    publisher.AT_ONCE = 100
    _step(PostgresTransactions, "transactions.begin", lambda claim: [claim.job])
    _step(PostgresTransaction, "transaction.complete", lambda entry: [entry.job])
    _step(PostgresLedger, "ledger.flush", lambda _, entries: [one.job for one in entries])
    _step(PostgresLedger, "ledger.fail", lambda _, __, entry, *___: [entry.job])
    _step(PostgresWaitingRoom, "waiting_room.record", lambda _, wait, __, **___: [wait.job])
    _step(PostgresWaitingRoom, "waiting_room.remove", lambda rows: [job for job, _ in rows])
    _step(PostgresOwnership, "ownership.advance", lambda _: STEPS.told)
    _step_into_append()


def _step(port: type, name: str, whose: Callable[..., Iterable[UUID]]) -> None:
    """Let those whom a call is about stand before or after it."""
    method = name.rpartition(".")[2]
    original = getattr(port, method)

    async def stepped(self: object, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - any port's
        concerned = list(whose(*given, **named))
        await STEPS.come(concerned, f"{name} before")
        answer = await original(self, *given, **named)
        await STEPS.come(concerned, f"{name} after")
        return answer

    setattr(port, method, stepped)


PARTS: Final[dict[str, Callable[[list[Any]], list[Any]]]] = {
    "log.append before": lambda _: [],
    "log.append the outcome alone": lambda records: records[:1],
    "log.append one follow-up too": lambda records: records[:2],
    "log.append all but the outcome": lambda records: records[1:],
}
"""Which of an outcome's records are acknowledged when it stands still; each is a death's own."""


def _step_into_append() -> None:
    original = KafkaLog.append

    async def append(self: KafkaLog, records: Any, timeout: float | None = None) -> Any:  # noqa: ANN401
        ended = {job for record in records if (job := _end_in(record.value)) is not None}
        for step, part in PARTS.items():
            for job in ended:
                if STEPS.is_at(job, step):
                    await original(self, part([one for one in records if job.bytes in one.value]))
                    await STEPS.come([job], step)
        answers = await original(self, records, timeout)
        await STEPS.come(ended, "log.append after")
        STEPS.told |= ended
        return answers

    setattr(KafkaLog, original.__name__, append)


def _end_in(value: bytes) -> UUID | None:
    """Whose end a record is."""
    try:
        told = CODEC.decode_journal(value)
    except Exception:  # noqa: BLE001 - no record of the journal
        return None
    return told.job if isinstance(told, Outcome) and told.end is not None else None
