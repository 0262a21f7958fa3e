"""What becomes of a dead letter that is replayed with another payload, or too late?"""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from processor.domain.changes import Change
from processor.domain.errors import (
    AlreadyFinished,
    InvalidSubmission,
    ParseError,
    SubmissionTooLarge,
)
from processor.domain.events import Queued
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.job import State
from processor.domain.retry import Retry
from processor.domain.status import JobStatus
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending
from processor.ports.operations import AuditQuery, OperationKind
from processor.runtime.handlers import Jobs
from processor.runtime.letters import Operated
from processor.runtime.request import Request
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time
from projections.timeline import as_json, describe
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

DAY = 24 * 3600.0


class Bill(BaseModel):
    amount: int
    currency: str = "EUR"


class Application:
    """Takes bills; a wrong currency cannot be paid."""

    def __init__(self, *, on_exhausted: str = "skip") -> None:
        self.jobs = Jobs()
        self.paid: list[tuple[JobId, int]] = []
        retry = Retry(attempts=1, on_exhausted=on_exhausted)  # type: ignore[arg-type]
        self.jobs.register("bill", self.pay, retry=retry)
        self.jobs.register("after", self.after)

    async def pay(self, request: Request[Bill]) -> int:
        if request.payload.currency != "EUR":
            raise ValueError(request.payload.currency)
        self.paid.append((request.job_id, request.payload.amount))
        return request.payload.amount

    async def after(self, request: Request[None]) -> None:
        self.paid.append((request.job_id, 0))


class World:
    def __init__(self, payload: bytes = b'{"amount":5,"currency":"XXX"}', **kept: str) -> None:
        self.application = Application(**kept)
        self.cluster = OperatedCluster(self.application.jobs)
        self.client = self.cluster.a_client()
        self.job = self.cluster.submit("bill", "N1", payload)
        self.letter = dead_letter_id(self.job, 1)

    async def died(self) -> None:
        self.worker = self.cluster.start()
        await self.ended(1, Ending.FAILED)

    async def ended(self, generation: int, ending: Ending) -> JobStatus:
        ledger = self.cluster.database.ledger

        def ended() -> bool:
            row = ledger.get((self.job, generation))
            return row is not None and row.ending is ending

        await self.cluster.until(ended)
        await self.cluster.until(lambda: len(self.cluster.bodies(self.job)) >= generation)
        return await self.cluster.status(self.job)


@in_virtual_time
@pytest.mark.parametrize("on_exhausted", ["skip", "block"])
async def test_an_edited_replay_runs_with_the_new_payload_and_the_dead_one_keeps_its_own(
    on_exhausted: str,
) -> None:
    world = World(on_exhausted=on_exhausted)
    behind = world.cluster.submit("after", "N1")
    await world.died()
    done = await world.client.edit(
        world.letter,
        {"amount": 5, "currency": "EUR"},
        by="ada",
        because="a typing error",
        jobs=world.application.jobs,
    )
    change = Change("currency", '"XXX"', '"EUR"')
    assert (done.generation, done.changes, done.first.ours) == (2, (change,), True)
    status = await world.ended(2, Ending.COMPLETE)
    await world.cluster.settled()
    wanted = [(world.job, 5), (behind, 0)]
    assert world.application.paid == (wanted if on_exhausted == "block" else wanted[::-1])
    queued = [one.event for one in status.history if isinstance(one.event, Queued)]
    assert [one.changes for one in queued] == [(), (change,)]
    assert queued[1].replay is not None
    assert (queued[1].replay.actor, queued[1].replay.because) == ("ada", "a typing error")
    said = 'replayed by ada: a typing error; edited: currency from "XXX" to "EUR"'
    assert any(said in line for line in describe(status))
    told = [one for one in as_json(status)["history"] if "changes" in one]
    assert told[0]["changes"] == [{"path": "currency", "before": '"XXX"', "after": '"EUR"'}]
    (died, _) = sorted(
        (one for one in world.cluster.records() if one.job == world.job),
        key=lambda record: record.generation,
    )
    assert died.payload == b'{"amount":5,"currency":"XXX"}'
    (audit,) = await world.client.audit(AuditQuery(kind=OperationKind.EDIT))
    assert (audit.actor, audit.reason, audit.changes) == ("ada", "a typing error", (change,))


@in_virtual_time
async def test_an_edit_that_the_model_refuses_or_that_changes_nothing_does_nothing() -> None:
    world = World()
    await world.died()

    async def edit(payload: object, jobs: Jobs | None = None) -> Operated:
        return await world.client.edit(world.letter, payload, by="ada", because="why", jobs=jobs)

    with pytest.raises(ParseError) as refused:
        await edit({"amount": "many"}, world.application.jobs)
    assert refused.value.fields == ("amount",)
    with pytest.raises(InvalidSubmission, match="the payload is not changed"):
        await edit({"currency": "XXX", "amount": 5})
    with pytest.raises(InvalidSubmission, match="its payload is no JSON"):
        await edit({"amount": object()})
    with pytest.raises(SubmissionTooLarge, match="the limit is"):
        await edit("x" * 600_000)
    assert await world.client.audit() == []
    assert {record.generation for record in world.cluster.records()} == {1}
    unchecked = await edit({"amount": "many"})
    assert unchecked.generation == 2
    status = await world.ended(2, Ending.FAILED)
    assert status.current.reason == "ParseError"


@in_virtual_time
async def test_of_two_edits_the_first_counts_and_whoever_sends_again_sends_that() -> None:
    world = World()
    await world.died()
    ada = {"amount": 5, "currency": "EUR"}
    await world.client.edit(world.letter, ada, by="ada", because="5 it is")
    with pytest.raises(AlreadyFinished, match="was replayed with another payload by ada"):
        await world.client.edit(world.letter, {"amount": 6}, by="bob", because="6 it is")
    again = await world.client.edit(world.letter, ada, by="bob", because="5 it is")
    assert (again.first.actor, again.first.ours) == ("ada", False)
    bob = world.cluster.a_client()
    assert await bob.replay(world.letter, by="bob", because="as it was") == world.job
    await world.ended(2, Ending.COMPLETE)
    records = [one for one in world.cluster.records() if one.generation == 2]
    assert {one.payload for one in records} == {b'{"amount":5,"currency":"EUR"}'}
    assert world.application.paid == [(world.job, 5)]


@in_virtual_time
async def test_an_edit_after_a_plain_replay_is_refused() -> None:
    world = World()
    await world.died()
    await world.client.replay(world.letter, by="ada", because="once more")
    with pytest.raises(AlreadyFinished, match="was replayed unchanged by ada"):
        await world.client.edit(world.letter, {"amount": 6}, by="bob", because="6 it is")


@in_virtual_time
async def test_a_discard_is_undone_within_seven_days_and_later_refused_in_one_line() -> None:
    world = World()
    await world.died()
    other = World()
    await other.died()
    for one in (world, other):
        await one.client.discard(one.letter, by="ada", because="not wanted")
        await one.cluster.project()
        one.worker.kill()
    await world.cluster.clock.sleep(6.9 * DAY)
    done = await world.client.edit(
        world.letter, {"amount": 7}, by="bob", because="wanted after all"
    )
    assert done.generation == 3
    worker = world.cluster.start()
    status = await world.ended(3, Ending.COMPLETE)
    assert (status.state, status.generation) == (State.COMPLETE, 3)
    worker.kill()
    await world.cluster.clock.sleep(0.2 * DAY)
    with pytest.raises(AlreadyFinished, match=r"was discarded by ada, .*can be undone for 7 days"):
        await other.client.replay(other.letter, by="bob", because="too late")
    assert [one.kind.value for one in await other.client.audit()] == ["discard"]
    # Who asked in time may ask again.
    again = await world.client.edit(world.letter, {"amount": 7}, by="bob", because="again")
    assert again.generation >= 3


@in_virtual_time
async def test_a_cancel_a_hold_and_a_release_stand_in_the_audit() -> None:
    world = World()
    await world.died()
    await world.client.hold(HoldKind.TYPE, "bill", by="ada", because="closed")
    assert [one.value for one in await world.client.holds()] == ["bill"]
    assert await world.client.release(HoldKind.TYPE, "bill", by="bob", because="open")
    world.worker.kill()
    later = world.cluster.submit("other", "N2")
    await world.cluster.project()
    assert (await world.client.cancel(later, by="eve", because="not wanted")).ours
    told = [(one.kind.value, one.actor, one.job) for one in await world.client.audit()]
    assert told == [("cancel", "eve", later), ("release", "bob", None), ("hold", "ada", None)]
