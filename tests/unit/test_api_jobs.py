"""Does the API submit jobs, and tell what became of them?"""

from __future__ import annotations

from uuid import UUID

import pytest

from processor import Jobs, Reject, Request, Retry
from processor.api.limits import BATCH, BODY_BYTES, DEPTH
from processor.domain.ids import JobId
from processor.domain.status import JobStatus
from processor.runtime.submission import new_id
from processor.testing import in_virtual_time
from tests.site import Site


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("double")
    async def double(request: Request[int]) -> int:
        return 2 * request.payload

    @jobs.handler("rejects", retry=Retry(on_exhausted="block"))
    async def rejects(request: Request[str]) -> None:
        raise Reject("it cannot be")

    return jobs


async def status_of(site: Site, job: str) -> JobStatus:
    return await site.status(JobId(UUID(job)))


@in_virtual_time
async def test_a_job_is_submitted_and_its_status_tells_its_life() -> None:
    async with Site(application()) as site:
        answer = await site.post("/v1/jobs", {"type": "double", "payload": 21, "priority": "high"})
        assert answer.status_code == 202
        assert answer.headers["job-position"].startswith("high.")
        job = answer.json()["id"]
        told = await site.get(
            f"/v1/jobs/{job}?wait=30", headers={"Job-Position": answer.headers["job-position"]}
        )
        assert told.status_code == 200
        body = told.json()
        assert (body["id"], body["state"], body["result"], body["lane"]) == (
            job,
            "complete",
            42,
            "high",
        )
        assert [one["event"] for one in body["history"]] == ["queued", "started", "complete"]
        why = (await site.get(f"/v1/jobs/{job}/explanation")).json()
        assert why["cause"] == "ended"
        payload = await site.get(f"/v1/jobs/{job}/payload")
        assert payload.json() == {"generation": 1, "payload": 21}


@in_virtual_time
async def test_many_are_submitted_in_their_order_and_share_a_batch() -> None:
    async with Site(application()) as site:
        many = [{"type": "double", "payload": number} for number in range(5)]
        many[3]["priority"] = "critical"
        answer = await site.post("/v1/batches", {"submissions": many, "priority": "low"})
        body = answer.json()
        await site.settled()
        told = [await status_of(site, job) for job in body["ids"]]
        assert [one.result for one in told] == [b"0", b"2", b"4", b"6", b"8"]
        assert {str(one.batch) for one in told} == {body["batch"]}
        assert [one.current.lane.label for one in told] == ["low"] * 3 + ["critical", "low"]


@pytest.mark.parametrize("key", ["UA1714", '"UA1714"'])
@in_virtual_time
async def test_an_idempotency_key_is_the_dedupe_key(key: str) -> None:
    async with Site(application()) as site:
        sent = {"type": "double", "payload": 1}
        header = {"Idempotency-Key": key}
        first = await site.post("/v1/jobs", sent, headers=header)
        again = await site.post("/v1/jobs", {**sent, "payload": 2}, headers=header)
        named = await site.post("/v1/jobs", {**sent, "dedupe_key": "UA1714"})
        assert first.json() == again.json() == named.json()
        differ = await site.post("/v1/jobs", {**sent, "dedupe_key": "other"}, headers=header)
        assert differ.status_code == 422
        many = {"submissions": [sent, sent]}
        one = await site.post("/v1/batches", many, headers=header)
        two = await site.post("/v1/batches", many, headers=header)
        assert one.json()["ids"] == two.json()["ids"]
        assert len(set(one.json()["ids"])) == 2


@in_virtual_time
async def test_a_wait_ends_with_the_job_or_with_its_time() -> None:
    async with Site(application()) as site:
        await site.hold("type", "double")
        job = (await site.post("/v1/jobs", {"type": "double", "payload": 1})).json()["id"]
        began = site.now
        answer = (await site.get(f"/v1/jobs/{job}?wait=5")).json()
        assert answer["state"] == "queued"
        assert "held by test" in answer["waits_for"]
        assert (site.now - began).total_seconds() >= 5
        await site.release("type", "double")
        answer = (await site.get(f"/v1/jobs/{job}?wait=60")).json()
        assert answer["state"] == "complete"
        assert (await site.get(f"/v1/jobs/{job}?wait=61")).status_code == 422


@in_virtual_time
async def test_a_cancel_ends_a_job_that_waits_and_leaves_one_that_has_ended() -> None:
    async with Site(application()) as site:
        await site.hold("type", "double")
        job = (await site.post("/v1/jobs", {"type": "double", "payload": 1})).json()["id"]
        because = {"because": "a mistake"}
        answer = await site.post(f"/v1/jobs/{job}/cancel", because)
        assert (answer.json()["now"], answer.json()["ours"]) == ("cancelled", True)
        await site.settled()
        (end,) = [one.event for one in (await status_of(site, job)).history][-1:]
        assert (getattr(end, "actor", ""), getattr(end, "because", "")) == ("local", "a mistake")
        assert not (await site.post(f"/v1/jobs/{job}/cancel", because)).json()["ours"]
        assert (await site.post(f"/v1/jobs/{job}/cancel", {"because": " "})).status_code == 422


@in_virtual_time
async def test_an_entity_and_the_whole_are_told() -> None:
    async with Site(application()) as site:
        sent = {"type": "rejects", "payload": "x", "entity": "N1/é"}
        first = (await site.post("/v1/jobs", sent)).json()["id"]
        await site.settled()
        behind = (await site.post("/v1/jobs", {**sent, "type": "double", "payload": 1})).json()
        await site.settled()
        entity = (await site.get("/v1/entity", params={"name": "N1/é"})).json()
        assert (entity["head"]["job"], entity["head"]["state"]) == (first, "blocking")
        assert [one["job"] for one in entity["waiting"]] == [behind["id"]]
        why = (await site.get(f"/v1/jobs/{behind['id']}/explanation")).json()
        assert why["cause"] == "entity_blocked"
        whole = (await site.get("/v1/overview")).json()
        assert whole["blocked"] == 1
        assert [one["type"] for one in whole["dead_letters"]] == ["rejects"]
        assert [one["lane"] for one in whole["lanes"]] == ["critical", "high", "normal", "low"]
        (worker,) = (await site.get("/v1/workers")).json()["workers"]
        assert worker["types"] == ["double", "rejects"]


BAD = {
    "no type": ({"payload": 1}, 422),
    "a field that is none": ({"type": "a", "tenant": "other"}, 422),
    "an empty type": ({"type": ""}, 422),
    "a NUL": ({"type": "a\0b"}, 422),
    "half a letter": ({"type": "a\ud800"}, 422),
    "half a letter in the payload": ({"type": "a", "payload": "\ud800"}, 422),
    "a long name": ({"type": "é" * 200}, 422),
    "another lane": ({"type": "a", "priority": "urgent"}, 422),
    "no zone": ({"type": "a", "not_before": "2030-01-01T00:00:00"}, 422),
    "a time that is none of ours": ({"type": "a", "not_before": "0001-01-01T00:00:00Z"}, 422),
    "a payload over the limit": ({"type": "a", "payload": "x" * 600_000}, 413),
    "a list": ([], 422),
    "null": (None, 422),
}


@in_virtual_time
async def test_what_does_not_fit_is_a_problem_that_repeats_no_value() -> None:
    async with Site(application()) as site:
        for said, (body, code) in BAD.items():
            answer = await site.post("/v1/jobs", body)
            assert (answer.status_code, answer.headers["content-type"]) == (
                code,
                "application/problem+json",
            ), said
            assert answer.json()["status"] == code
        for number in ("NaN", "Infinity", "1e999", "9" * 5_000):
            text = f'{{"type":"a","payload":{number}}}'
            answer = await site.http.post(
                "/v1/jobs", content=text, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in {400, 422}, number


@in_virtual_time
async def test_what_is_too_large_too_deep_or_too_much_is_refused() -> None:
    async with Site(application()) as site:
        json = {"Content-Type": "application/json"}
        large = b'{"type":"' + b"x" * BODY_BYTES + b'"}'
        assert (await site.http.post("/v1/jobs", content=large, headers=json)).status_code == 413

        async def without_length() -> object:
            for _ in range(50):
                yield b"x" * 100_000

        unknown = await site.http.post("/v1/jobs", content=without_length(), headers=json)  # type: ignore[arg-type]
        assert unknown.status_code == 413
        deep = b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1)
        assert (await site.http.post("/v1/jobs", content=deep, headers=json)).status_code == 400
        very = b"[" * 1_000_000
        assert (await site.http.post("/v1/jobs", content=very, headers=json)).status_code == 400
        many = {"submissions": [{"type": "a"}] * (BATCH + 1)}
        assert (await site.post("/v1/batches", many)).status_code == 422
        plain = await site.http.post("/v1/jobs", content=b'{"type":"a"}')
        assert plain.status_code in {415, 422}


@in_virtual_time
async def test_what_is_not_there_is_one_answer() -> None:
    async with Site(application()) as site:
        answers = {
            (await site.get(path)).content
            for path in (
                f"/v1/jobs/{new_id()}",
                f"/v1/jobs/{new_id()}/explanation",
                f"/v1/jobs/{new_id()}/events",
                f"/v1/dead-letters/{new_id()}",
                "/v1/nothing",
                "/static/nothing.js",
            )
        }
        assert len(answers) == 1
        assert (await site.http.delete(f"/v1/jobs/{new_id()}")).status_code == 405
        assert (await site.get("/v1/jobs/x")).status_code == 422
