"""What does the API tell of dead letters and holds, what does it do, and how does it do itself?"""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.metrics import Observation

from processor import Jobs, Reject, Request
from processor.adapters.exposition import Exposition
from processor.api.remembering import Remembered
from processor.testing import in_virtual_time
from tests.site import Site

REASON = {"because": "mended"}


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("rejects")
    async def rejects(request: Request[int]) -> int:
        if request.cluster.generation == 1:
            raise Reject("it cannot be")
        return request.payload

    return jobs


async def dead(site: Site, count: int = 1) -> list[str]:
    many = {"submissions": [{"type": "rejects", "payload": one} for one in range(count)]}
    ids: list[str] = (await site.post("/v1/batches", many)).json()["ids"]
    await site.settled()
    return ids


@in_virtual_time
async def test_dead_letters_are_told_page_by_page_and_by_group() -> None:
    async with Site(application()) as site:
        jobs = await dead(site, 7)
        (group,) = (await site.get("/v1/dead-letters/groups")).json()["groups"]
        assert (group["type"], group["letters"]) == ("rejects", 7)
        found, after = [], None
        while True:
            asked = {"limit": "3", "type": "rejects"} | ({"after": after} if after else {})
            page = (await site.get("/v1/dead-letters", params=asked)).json()
            found += page["letters"]
            after = page["next"]
            if after is None:
                break
            assert len(page["letters"]) == 3
        assert sorted(one["job"] for one in found) == sorted(jobs)
        assert found[0]["errors"][0]["message"] == "it cannot be"
        assert "payload" not in found[0]
        assert (await site.get("/v1/dead-letters", params={"type": "other"})).json()[
            "letters"
        ] == []


@in_virtual_time
async def test_a_dead_letter_is_replayed_or_discarded_with_a_reason() -> None:
    async with Site(application()) as site:
        first, second = await dead(site, 2)
        by_job = {str(one.died.job): str(one.died.id) for one in site.dead_letters}
        letter = f"/v1/dead-letters/{by_job[first]}"
        assert (await site.get(f"{letter}/payload")).json() == {"generation": 1, "payload": 0}
        assert (await site.post(f"{letter}/replay", {})).status_code == 422
        assert (await site.post(f"{letter}/replay", REASON)).json() == {"job": first}
        await site.settled()
        assert (await site.get(letter)).json()["closed"] == "replayed"
        assert (await site.get(f"/v1/jobs/{first}")).json()["state"] == "complete"
        other = f"/v1/dead-letters/{by_job[second]}"
        assert (await site.post(f"{other}/discard", REASON)).json() == {"job": second}
        await site.settled()
        assert (await site.get(other)).json()["closed"] == "discarded"
        assert (await site.post(f"{letter}/discard", REASON)).status_code == 409


@in_virtual_time
async def test_a_dead_letter_is_replayed_with_another_payload_and_its_history_says_so() -> None:
    async with Site(application()) as site:
        (job,) = await dead(site)
        letter = f"/v1/dead-letters/{site.dead_letters[0].died.id}"
        done = await site.post(f"{letter}/edit", {"payload": 7, **REASON})
        changes = [{"path": "", "before": 0, "after": 7}]
        assert (done.json()["job"], done.json()["generation"]) == (job, 2)
        assert [one["after"] for one in done.json()["changes"]] == [7], changes
        await site.settled()
        assert (await site.get(f"/v1/jobs/{job}")).json()["result"] == 7
        assert (await site.get(f"/v1/jobs/{job}/payload")).json() == {"generation": 2, "payload": 7}
        assert (await site.get(f"{letter}/payload")).json() == {"generation": 1, "payload": 0}


@in_virtual_time
async def test_a_plan_is_previewed_made_stopped_resumed_and_audited() -> None:
    async with Site(application()) as site:
        await dead(site, 5)
        chosen = {"selection": {"type": "rejects"}}
        preview = (await site.post("/v1/plans/preview", chosen)).json()
        assert (preview["letters"], preview["entities"]) == (5, 5)
        wrong = await site.post("/v1/plans", {**chosen, **REASON, "expect": 4})
        assert (wrong.status_code, wrong.json()["found"]) == (409, 5)
        assert (await site.post("/v1/plans", {"selection": {}, **REASON})).status_code == 409
        bad = await site.post("/v1/plans", {**chosen, **REASON, "stop_above": 0.5})
        assert bad.status_code == 422
        made = await site.post("/v1/plans", {**chosen, **REASON, "expect": 5, "rate": 0.001})
        assert (made.status_code, made.json()["letters"]) == (201, 5)
        plan = f"/v1/plans/{made.json()['id']}"
        stopped = (await site.post(f"{plan}/stop", REASON)).json()
        assert (stopped["state"], stopped["ended_by"]) == ("stopped", "local")
        assert (await site.post(f"{plan}/stop", REASON)).status_code == 409
        assert (await site.post(f"{plan}/resume", REASON)).json()["state"] == "running"
        assert [one["id"] for one in (await site.get("/v1/plans")).json()["plans"]] == [
            made.json()["id"]
        ]
        audit = (await site.get("/v1/audit")).json()["operations"]
        assert [one["kind"] for one in audit] == ["resume", "stop", "plan"]
        assert {one["actor"] for one in audit} == {"local"}
        assert (await site.get("/v1/plans/99")).content == (await site.get("/v1/no")).content
        page = (await site.get("/v1/audit", params={"limit": 2})).json()
        rest = (await site.get("/v1/audit", params={"before": page["next"]})).json()
        assert [one["kind"] for one in rest["operations"]] == ["plan"]
        assert (await site.get("/v1/audit", params={"kind": "x"})).status_code == 422


@in_virtual_time
async def test_a_hold_holds_until_it_is_released() -> None:
    async with Site(application()) as site:
        asked = {
            "kind": "lane",
            "value": "LOW",
            "because": "quiet",
            "until": "2100-01-01T00:00:00Z",
        }
        made = await site.post("/v1/holds", asked)
        assert made.status_code == 201
        assert (made.json()["value"], made.json()["by"]) == ("low", "local")
        assert [one["why"] for one in (await site.get("/v1/holds")).json()["holds"]] == ["quiet"]
        what = {"kind": "lane", "value": "low", "because": "over"}
        assert (await site.post("/v1/holds/release", what)).json() == {"released": True}
        assert (await site.post("/v1/holds/release", what)).json() == {"released": False}
        assert (await site.post("/v1/holds/release", {**what, "rate": 5})).status_code == 422
        typed = {"kind": "type", "value": "rejects", **REASON}
        await site.post("/v1/holds", typed)
        slowly = await site.post("/v1/holds/release", {**typed, "rate": 5})
        assert slowly.json() == {"released": True}
        (hold,) = (await site.get("/v1/holds")).json()["holds"]
        assert (hold["mode"], hold["rate"]) == ("releasing", 5)
        for bad in ({"kind": "lane", "value": "x"}, {"kind": "y", "value": "x"}, {"kind": "type"}):
            assert (await site.post("/v1/holds", bad | REASON)).status_code == 422


@in_virtual_time
async def test_it_lives_without_its_database_and_is_not_ready() -> None:
    async with Site(application()) as site:
        assert (await site.get("/ready")).json() == {"ok": True, "reasons": []}
        site.missing = ["the database does not answer"]
        await asyncio.sleep(2)
        ready = await site.get("/ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, site.missing)
        live = await site.get("/live")
        assert (live.status_code, live.json()["ok"]) == (200, True)
        assert (await site.get("/metrics")).headers["content-type"].startswith("text/plain")


@in_virtual_time
async def test_an_answer_is_shared_by_all_who_ask_and_an_error_is_not_kept() -> None:
    async with Site(application()) as site:
        asked = 0

        async def ask() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(1)
            if asked == 1:
                raise ConnectionError
            return asked

        remembered = Remembered(ask, site.service.clock, 5)
        failed = await asyncio.gather(*(remembered() for _ in range(9)), return_exceptions=True)
        assert all(isinstance(one, ConnectionError) for one in failed)
        assert await asyncio.gather(*(remembered() for _ in range(9))) == [2] * 9
        await asyncio.sleep(2)
        assert await remembered() == 2
        await asyncio.sleep(5)
        assert await remembered() == 3


def test_metrics_are_told_as_prometheus_reads_them() -> None:
    exposition = Exposition()
    meter = exposition.provider.get_meter("test", attributes={"job.service": "api"})
    meter.create_counter("job.completed_total", "1", "Jobs").add(2, {"job.type": 'a"b\n'})
    meter.create_histogram(
        "http.server.request.duration", "s", explicit_bucket_boundaries_advisory=[0.5, 1]
    ).record(0.75)
    meter.create_observable_gauge("job.oldest_seconds", [lambda _: [Observation(1.5)]], "s")
    lines = exposition.text().splitlines()
    assert "# TYPE job_completed_total counter" in lines
    assert 'job_completed_total{job_service="api",job_type="a\\"b\\n"} 2' in lines
    name = "http_server_request_duration_seconds"
    assert f"# TYPE {name} histogram" in lines
    assert f'{name}_bucket{{job_service="api",le="0.5"}} 0' in lines
    assert f'{name}_bucket{{job_service="api",le="+Inf"}} 1' in lines
    assert f'{name}_sum{{job_service="api"}} 0.75' in lines
    assert 'job_oldest_seconds{job_service="api"} 1.5' in lines
    assert exposition.text().endswith("\n")


@pytest.mark.parametrize("path", ["/v1/overview", "/v1/workers", "/v1/holds"])
@in_virtual_time
async def test_what_breaks_is_a_problem_that_tells_nothing(path: str) -> None:
    async with Site(application()) as site:

        async def breaks(*_: object) -> None:
            raise ValueError("secret")

        for name in ("whole", "workers"):
            setattr(site.service.views, name, breaks)
        setattr(site.client, "holds", breaks)  # noqa: B010 - it breaks
        answer = await site.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (
            500,
            "application/problem+json",
        )
        assert b"secret" not in answer.content
        assert answer.headers["content-security-policy"]
