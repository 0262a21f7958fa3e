"""Which waiting jobs come together, and over how many connections are they spread?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from processor.domain.errors import ParseError
from processor.domain.ids import JobId
from processor.domain.priority import LANES, Priority
from processor.domain.quarantine import Found, Quarantine
from processor.domain.submission import SubmissionRecord
from processor.ports.ownership import Fence
from processor.runtime.delivery import Delivery
from processor.runtime.failing import detail_of
from processor.runtime.forming import ANY, MOST_TOGETHER, Forming
from processor.runtime.handlers import Jobs
from processor.runtime.partition import OwnedPartition
from processor.runtime.request import Request
from processor.runtime.sharing import ALONE_FOR, Sharing
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test


def some_jobs() -> Jobs:
    jobs = Jobs()

    @jobs.handler("own")
    @jobs.handler("grouped", transaction="grouped")
    async def grouped(request: Request[Any]) -> None: ...

    @jobs.batch_handler("batch")
    async def batch(requests: list[Request[Any]], session: Any) -> None: ...  # noqa: ANN401

    return jobs


JOBS = some_jobs()
NONE = Jobs()


class Shop:
    """A forming with its slots."""

    def __init__(self, most: int = 8, slots: int = 32, jobs: Jobs = JOBS) -> None:
        self.held = [0 for _ in LANES]
        self.sharing = Sharing(loop_of_the_test().clock)
        self.forming = Forming(jobs, self.sharing, most, self.held, slots)
        self.number = 0

    def delivery(self, type_: str = "grouped") -> Delivery:
        self.number += 1
        job = JobId(UUID(int=self.number))
        record = SubmissionRecord(job, type_, b"null", str(job), Priority.NORMAL, 0)
        partition = OwnedPartition(Fence(0, UUID(int=2)), (0, 0, 0, 0))
        return Delivery(record, b"", partition, Priority.NORMAL, self.number, self.number)

    def form(self, number: int, lane: Priority = Priority.NORMAL, kind: str = ANY) -> list[int]:
        """Let so many jobs in, as far as there is room; the sizes of the groups."""
        for _ in range(number):
            if self.forming.has_room(lane, kind):
                self.forming.add(lane, kind, self.delivery())
        return [len(group.deliveries) for group in self.forming.groups()]


@pytest.mark.parametrize(
    ("idle", "waiting", "sizes"),
    [
        (8, 1, [1]),
        (8, 5, [1, 1, 1, 1, 1]),
        (4, 20, [5, 5, 5, 5]),
        (3, 20, [7, 7, 6]),
        (8, 500, [16] * 8),
    ],
)
@in_virtual_time
async def test_what_waits_is_spread_over_what_is_idle(
    idle: int, waiting: int, sizes: list[int]
) -> None:
    assert Shop(most=idle).form(waiting, Priority.CRITICAL) == sizes


@in_virtual_time
async def test_a_group_holds_its_connection_and_its_slot_until_it_has_ended() -> None:
    shop = Shop(most=3)
    lane = Priority.CRITICAL
    assert shop.form(48, lane) == [16, 16, 16]
    assert shop.held == [3, 0, 0, 0]
    assert shop.form(5, lane) == []
    shop.forming.ended(lane)
    shop.held[lane] -= 1
    assert shop.form(5, lane) == [5]
    assert shop.held == [3, 0, 0, 0]


@in_virtual_time
async def test_a_lane_leaves_connections_and_slots_to_those_above() -> None:
    shop = Shop(most=8)
    assert len(shop.form(500, Priority.LOW)) == 5
    assert len(shop.form(500, Priority.CRITICAL)) == 3
    few = Shop(most=8, slots=2)
    assert few.form(500, Priority.LOW) == [16]
    assert few.form(500, Priority.CRITICAL) == [16]


@in_virtual_time
async def test_lanes_and_batches_keep_apart() -> None:
    shop = Shop(most=8)
    for lane, kind in ((Priority.LOW, ANY), (Priority.HIGH, ANY), (Priority.HIGH, "batch")):
        for _ in range(MOST_TOGETHER):
            shop.forming.add(lane, kind, shop.delivery())
    formed = [(one.lane, one.kind) for one in shop.forming.groups()]
    assert set(formed) == {(3, ANY), (1, ANY), (1, "batch")}


@in_virtual_time
async def test_only_what_is_declared_so_shares_its_transaction() -> None:
    shop = Shop()
    kinds = [
        shop.forming.kind_of(shop.delivery(type_)) for type_ in ("own", "grouped", "batch", "none")
    ]
    assert kinds == [None, ANY, "batch", None]
    assert not shop.forming.idle
    assert Shop(most=0).forming.idle
    assert Shop(jobs=NONE).forming.idle


def suspected(delivery: Delivery) -> None:
    delivery.partition.quarantine = Quarantine(
        Found(1, (9, 9, 9, 9), ()), (9, 9, 9, 9), (9, 9, 9, 9)
    )


def corrupted(delivery: Delivery) -> None:
    delivery.corrupt = detail_of(ParseError("it is none"))


def faulty(delivery: Delivery) -> None:
    delivery.faults = 1


def busy(delivery: Delivery) -> None:
    delivery.returned = 1


@pytest.mark.parametrize("trouble", [suspected, corrupted, faulty, busy])
@in_virtual_time
async def test_what_met_trouble_goes_alone_so_that_a_death_leaves_one_suspect(
    trouble: Callable[[Delivery], None],
) -> None:
    shop = Shop()
    one = shop.delivery()
    assert shop.forming.kind_of(one) == ANY
    trouble(one)
    assert shop.forming.kind_of(one) is None


@in_virtual_time
async def test_a_type_that_stood_in_the_way_runs_alone_for_a_while() -> None:
    shop = Shop()
    shop.sharing.part("grouped")
    assert shop.forming.kind_of(shop.delivery()) is None
    assert shop.forming.kind_of(shop.delivery("batch")) == "batch"
    await loop_of_the_test().clock.sleep(ALONE_FOR)
    assert shop.forming.kind_of(shop.delivery()) == ANY


@in_virtual_time
async def test_a_type_goes_without_savepoints_while_hardly_any_of_its_jobs_fails() -> None:
    sharing = Sharing(loop_of_the_test().clock)
    assert not sharing.is_bold(["good"])
    for _ in range(1_000):
        sharing.ran("good", failed=False)
    for number in range(2_000):
        sharing.ran("bad", failed=number % 50 == 0)
    assert sharing.is_bold(["good"])
    assert not sharing.is_bold(["bad"])
    assert not sharing.is_bold(["good", "bad"])
    for _ in range(6):
        sharing.ran("good", failed=True)
    assert not sharing.is_bold(["good"])
