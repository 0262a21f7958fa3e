"""Does `processor.testing.run` run a handler as a worker would?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from processor import (
    Caller,
    ConfigurationError,
    InvalidSubmission,
    Jobs,
    ParseError,
    Priority,
    Reject,
    Request,
    Submission,
    TransactionMisused,
)
from processor.domain.errors import AttemptTimeout, ResultInvalid
from processor.domain.ids import follow_up_of
from processor.testing import Progress, in_virtual_time, run

jobs = Jobs()


class Flight(BaseModel):
    tail: str
    minutes: int


@dataclass
class Book:
    """What stands for a session or a connection: whatever the handler asks of it."""

    written: list[str]

    async def execute(self, line: str) -> None:
        self.written.append(line)


@jobs.handler("landed", timeout=30)
async def landed(request: Request[Flight]) -> dict[str, int]:
    book = await request.session()
    await book.execute(f"{request.payload.tail} {request.payload.minutes}")  # type: ignore[call-overload]
    await request.progress(50, "counted")
    await request.progress(100)
    request.submit(Submission("bill", request.payload, entity="UA"))
    return {"minutes": request.payload.minutes}


async def test_it_gives_the_result_the_progress_and_the_follow_ups() -> None:
    book = Book([])
    ran = await run(landed, Flight(tail="N1", minutes=7), session=book)
    assert ran.result == {"minutes": 7}
    assert ran.progress == (Progress(50.0, "counted"), Progress(100.0, ""))
    (bill,) = ran.submitted
    assert (bill.type, bill.entity, bill.payload) == ("bill", "UA", Flight(tail="N1", minutes=7))
    assert book.written == ["N1 7"]


async def test_the_payload_is_parsed_as_the_annotation_says() -> None:
    assert (await run(landed, {"tail": "N1", "minutes": "7"}, session=Book([]))).result == {
        "minutes": 7
    }
    with pytest.raises(ParseError, match="minutes") as refused:
        await run(landed, {"tail": "secret", "minutes": "many"}, session=Book([]))
    assert refused.value.fields == ("minutes",)
    assert "secret" not in str(refused.value)
    assert "many" not in str(refused.value)


async def test_the_request_is_what_the_test_says() -> None:
    seen: list[Request[None]] = []

    async def sees(request: Request[None]) -> None:
        seen.append(request)

    caller = Caller("ann", "s-1", "r-1", "10.0.0.1", "curl")
    await run(
        sees,
        tenant="acme",
        caller=caller,
        entity="N1",
        priority=Priority.HIGH,
        attempt=3,
        generation=2,
    )
    (request,) = seen
    assert (request.tenant, request.caller, request.entity) == ("acme", caller, "N1")
    assert (request.attempt, request.cluster.generation, request.cluster.run) == (3, 2, 3)
    assert request.cluster.lane is Priority.HIGH
    assert request.type == "sees"
    assert request.idempotency_key == f"{request.job_id}-2"


async def test_follow_ups_have_the_ids_that_they_would_have() -> None:
    told: list[object] = []

    async def parent(request: Request[None]) -> None:
        told.extend(request.submit([Submission("a"), Submission("b", dedupe_key="once")]))
        told.append(request.job_id)

    ran = await run(parent, generation=2)
    assert [one.id for one in ran.submitted] == told[:2]
    assert ran.submitted[0].id == follow_up_of(told[2], 2, 0)  # type: ignore[arg-type]
    assert ran.submitted[1].id == Submission("b", dedupe_key="once").id


async def test_what_the_handler_raises_is_raised() -> None:
    async def refuses(_: Request[None]) -> None:
        raise Reject("never")

    async def breaks(_: Request[None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(Reject, match="never"):
        await run(refuses)
    with pytest.raises(ZeroDivisionError):
        await run(breaks)


@pytest.mark.parametrize("result", [object(), float("nan"), "x" * 300_000])
async def test_a_result_that_a_worker_would_refuse_is_refused(result: object) -> None:
    async def returns(_: Request[None]) -> object:
        return result

    with pytest.raises(ResultInvalid):
        await run(returns)


async def test_a_follow_up_that_a_worker_would_refuse_is_refused() -> None:
    async def many(request: Request[None]) -> None:
        request.submit(Submission("a") for _ in range(1_001))

    with pytest.raises(Reject, match="1,000 follow-ups"):
        await run(many)


@in_virtual_time
async def test_the_time_out_ends_it() -> None:
    async def for_ever(_: Request[None]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(AttemptTimeout, match="30 s"):
        await run(Jobs().register("slow", for_ever, timeout=30))


async def test_a_def_handler_runs_in_a_thread_and_has_no_transaction() -> None:
    threads: list[int] = []

    def works(request: Request[int]) -> int:
        threads.append(threading.get_ident())
        return request.payload * 2

    def asks(request: Request[int]) -> None:
        request.session()

    assert (await run(works, 21)).result == 42
    assert threads != [threading.get_ident()]
    with pytest.raises(TransactionMisused, match="async def"):
        await run(asks, 1, session=Book([]))


async def test_a_session_that_was_not_passed_is_one_clear_error() -> None:
    async def asks(request: Request[None]) -> None:
        await request.connection()

    with pytest.raises(ConfigurationError, match=r"request.session\(\).*session=…"):
        await run(landed, Flight(tail="N1", minutes=7))
    with pytest.raises(ConfigurationError, match=r"request.connection\(\).*connection=…"):
        await run(asks, session=Book([]))


async def test_what_was_left_behind_opens_nothing() -> None:
    left: list[asyncio.Task[object]] = []
    returned = asyncio.Event()

    async def leaves(request: Request[None]) -> None:
        async def later() -> object:
            await returned.wait()
            return await request.session()

        left.append(asyncio.create_task(later()))

    await run(leaves, session=Book([]))
    returned.set()
    with pytest.raises(TransactionMisused, match="has returned"):
        await left[0]


def wrong_calls() -> Iterator[tuple[dict[str, object], str]]:
    yield {"attempt": 0}, "attempt"
    yield {"generation": 0}, "generation"
    yield {"entity": ""}, "entity is empty"


@pytest.mark.parametrize(("fields", "told"), list(wrong_calls()))
async def test_what_cannot_be_is_told(fields: dict[str, object], told: str) -> None:
    with pytest.raises((ConfigurationError, InvalidSubmission), match=told):
        await run(landed, None, **fields)  # type: ignore[arg-type]
