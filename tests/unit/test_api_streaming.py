"""Is a job's life told as it happens, once, and taken up again where it was left?"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from tenacity import wait_fixed

from processor import Jobs, Request, Retry
from processor.api.limits import STREAMS_EACH
from processor.api.problems import Problem
from processor.api.streaming import Place, Streams, Telling, parse_place
from processor.domain.ids import JobId
from processor.testing import in_virtual_time
from tests.site import Site


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("stumbles", retry=Retry(attempts=3, wait=wait_fixed(60)))
    async def stumbles(request: Request[None]) -> str:
        if request.attempt == 1:
            raise ConnectionError("not yet")
        await request.progress(50, "half")
        await asyncio.sleep(5)
        return "done"

    return jobs


def parsed(text: str) -> list[dict[str, Any]]:
    """Events as a browser reads them."""
    events = []
    for block in text.split("\n\n"):
        fields = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        event = {name: value for name, _, value in fields if name != "retry"}
        if "data" in event:
            event["data"] = json.loads(event["data"])
            events.append(event)
    return events


def told(events: list[dict[str, Any]]) -> list[tuple[str | None, str]]:
    return [(one.get("id"), one["data"]["event"]) for one in events if one["event"] == "transition"]


@in_virtual_time
async def test_the_whole_life_of_a_job_is_told_and_the_stream_ends_with_it() -> None:
    async with Site(application()) as site:
        job = (await site.post("/v1/jobs", {"type": "stumbles"})).json()["id"]
        answer = await site.get(f"/v1/jobs/{job}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = parsed(answer.text)
        durable = [one for one in told(events) if one[0] is not None]
        assert durable == [
            ("1.0.0", "queued"),
            *(
                (f"1.{events_timeline(events)}.{number}", event)
                for number, event in enumerate(("started", "retrying", "started", "complete"), 1)
            ),
        ]
        assert (None, "progressed") in told(events)
        states = [one["data"]["state"] for one in events if one["event"] == "state"]
        assert states[-1] == "complete"
        assert "retrying" in states
        assert events[-1] == {"event": "end", "data": {"state": "complete"}}


def events_timeline(events: list[dict[str, Any]]) -> int:
    timelines = {one["data"]["timeline"] for one in events if one.get("id", "1.0.0") != "1.0.0"}
    return int(max(one for one in timelines if one is not None))


@in_virtual_time
async def test_whoever_comes_back_is_told_what_came_after_what_was_read() -> None:
    async with Site(application()) as site:
        job = (await site.post("/v1/jobs", {"type": "stumbles"})).json()["id"]
        whole = told(parsed((await site.get(f"/v1/jobs/{job}/events")).text))
        durable = [one for one in whole if one[0] is not None]
        for number, (last, _) in enumerate(durable[:-1]):
            headers = {"Last-Event-ID": str(last)}
            again = parsed((await site.get(f"/v1/jobs/{job}/events", headers=headers)).text)
            assert told(again) == durable[number + 1 :]
            assert again[-1]["event"] == "end"
        over = await site.get(
            f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(durable[-1][0])}
        )
        assert (over.status_code, over.content) == (204, b"")
        for strange in ("x", "1.2", "1.2.3.4", "-1.0.0", "9" * 50):
            headers = {"Last-Event-ID": strange}
            answer = await site.get(f"/v1/jobs/{job}/events", headers=headers)
            assert told(parsed(answer.text)) == durable


@in_virtual_time
async def test_what_a_failover_voided_is_told_again() -> None:
    async with Site(application()) as site:
        job = (await site.post("/v1/jobs", {"type": "stumbles"})).json()["id"]
        await site.get(f"/v1/jobs/{job}?wait=60")
        status = await site.status(JobId(UUID(job)))
        telling = Telling(parse_place(None))
        first = parsed("".join(telling.news(status)))
        assert not parsed("".join(telling.news(status)))
        history = list(status.history)
        history[1] = replace(history[1], void=True)
        again = parsed("".join(telling.news(replace(status, history=tuple(history)))))
        assert told(again) == told(first)[1:2]
        assert again[0]["data"]["void"]


@in_virtual_time
async def test_streams_end_when_the_process_does() -> None:
    async with Site(application()) as site:
        await site.hold("type", "stumbles")
        job = (await site.post("/v1/jobs", {"type": "stumbles"})).json()["id"]
        reading = asyncio.create_task(site.get(f"/v1/jobs/{job}/events"))
        waiting = asyncio.create_task(site.get(f"/v1/jobs/{job}?wait=60"))
        await asyncio.sleep(20)
        assert not reading.done()
        assert not waiting.done()
        site.service.closing.set()
        assert ": still here" in (await reading).text
        assert (await waiting).json()["state"] == "queued"
        assert (await site.get("/ready")).status_code == 503


@in_virtual_time
async def test_many_who_follow_one_job_ask_once() -> None:
    async with Site(application()) as site:
        await site.hold("type", "stumbles")
        job = (await site.post("/v1/jobs", {"type": "stumbles"})).json()["id"]
        waiting = [asyncio.create_task(site.get(f"/v1/jobs/{job}?wait=30")) for _ in range(20)]
        await asyncio.sleep(10)
        assert lookers() == 1
        await asyncio.gather(*waiting)
        assert lookers() == 0


def lookers() -> int:
    """How many tasks look at a job that is followed."""
    return sum("Following._look" in repr(one.get_coro()) for one in asyncio.all_tasks())


def test_streams_are_counted_by_subject() -> None:
    streams = Streams()
    held = [streams.one("ada") for _ in range(STREAMS_EACH)]
    for one in held:
        streams.check("ada")
        one.__enter__()
    with pytest.raises(Problem, match="Too many streams"):
        streams.check("ada")
    streams.check("bob")
    held[0].__exit__(None, None, None)
    streams.check("ada")


def test_places_are_in_the_order_of_the_history() -> None:
    assert parse_place("1.2.3") == Place(1, 2, 3)
    assert Place(1, 0, 0) < Place(1, 1, 1) < Place(1, 1, 2) < Place(2, 0, 0)
