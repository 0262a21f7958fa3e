"""Does `processor api` answer over HTTP on the real stack, as the client and the commands do?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from processor import Jobs, Reject, Request, Worker
from processor.api.running import api
from tests.answering import Api, answering
from tests.commands import Commands
from tests.inside import command, working

pytestmark = pytest.mark.timeout(240)

SENT = {"type": "flight.landed", "payload": {"minutes": 227}}
HOLD = {"kind": "type", "value": "flight.landed", "because": "not yet"}
SURE = ("held", "ended")


def application() -> tuple[Jobs, asyncio.Event]:
    jobs, gate = Jobs(), asyncio.Event()

    @jobs.handler("flight.landed")
    async def landed(request: Request[dict[str, int]]) -> int:
        await request.progress(50, "at the gate")
        await gate.wait()
        return 2 * request.payload["minutes"]

    @jobs.handler("rejects")
    async def rejects(request: Request[None]) -> None:
        if request.cluster.generation == 1:
            raise Reject("it cannot be")

    return jobs, gate


async def test_jobs_are_submitted_followed_explained_and_operated_over_http(
    ready: Commands,
) -> None:
    jobs, gate = application()
    async with working(ready.settings, jobs), answering(ready) as api:
        sent = {**SENT, "entity": "N1"}
        answer = await api.http.post("/v1/jobs", json=sent, headers={"Idempotency-Key": "UA1"})
        job = answer.json()["id"]
        assert (answer.status_code, answer.headers["job-position"].count("=")) == (202, 1)
        behind = await api.post("/v1/jobs", sent)
        await _follow(api, job, gate)

        position = {"Job-Position": answer.headers["job-position"]}
        seen = (await api.http.get(f"/v1/jobs/{behind['id']}?wait=60", headers=position)).json()
        assert (seen["state"], seen["result"]) == ("complete", 454)
        assert (await api.get(f"/v1/jobs/{job}/payload"))["payload"] == {"minutes": 227}
        assert (await api.get(f"/v1/jobs/{job}/explanation"))["cause"] == "ended"

        await _operate(api)
        whole = await api.get("/v1/overview")
        assert len(whole["workers"]["workers"]) == 1
        assert (await api.get("/ready"))["ok"]
        metrics = (await api.http.get("/metrics")).text
        assert 'http_route="/v1/jobs/{job}"' in metrics
        assert job not in metrics
        await _stop_while_somebody_follows(api)


async def _follow(api: Api, job: str, gate: asyncio.Event) -> None:
    told: list[tuple[str | None, str]] = []
    async for event in api.events(f"/v1/jobs/{job}/events"):
        if event["event"] == "transition":
            told.append((event.get("id"), event["data"]["event"]))
            if event["data"]["event"] == "progressed":
                gate.set()
    assert [name for place, name in told if place] == ["queued", "started", "complete"]
    assert (None, "progressed") in told
    read = next(place for place, _ in told if place)
    again = [one async for one in api.events(f"/v1/jobs/{job}/events", last=read)]
    assert [one["data"]["event"] for one in again if one["event"] == "transition"] == [
        "started",
        "complete",
    ]


async def _held(api: Api) -> str:
    """A job that is held: the first ones may have run before the worker knew of the hold."""
    await api.post("/v1/holds", HOLD)
    while True:
        job: str = (await api.post("/v1/jobs", SENT))["id"]
        why = await api.when(f"/v1/jobs/{job}/explanation", lambda why: why["cause"] in SURE)
        if why["cause"] == "held":
            return job


async def _operate(api: Api) -> None:
    held = await _held(api)
    await api.post("/v1/holds/release", HOLD)
    assert (await api.get(f"/v1/jobs/{held}?wait=60"))["state"] == "complete"
    job = (await api.post("/v1/jobs", {"type": "rejects"}))["id"]
    assert (await api.get(f"/v1/jobs/{job}?wait=60"))["state"] == "failed"
    found = await api.when("/v1/dead-letters", lambda page: page["letters"])
    (letter,) = found["letters"]
    replayed = await api.post(f"/v1/dead-letters/{letter['id']}/replay", {"because": "mended"})
    assert replayed == {"job": job}
    await api.when(f"/v1/jobs/{job}?wait=10", lambda job: job["state"] == "complete")
    audit = (await api.get("/v1/audit"))["operations"]
    assert {"hold", "release", "replay"} == {one["kind"] for one in audit}


async def _stop_while_somebody_follows(api: Api) -> None:
    stream = api.events(f"/v1/jobs/{await _held(api)}/events")
    assert (await anext(stream))["event"] == "transition"
    assert await api.stop() == 0
    assert {one["event"] async for one in stream} <= {"transition", "state"}


async def test_an_application_answers_beside_its_worker_and_its_health_is_the_workers_too(
    ready: Commands,
) -> None:
    jobs, gate = application()
    gate.set()
    worker = Worker(jobs, ready.settings)
    async with (
        api(ready.settings, "127.0.0.1", 0, worker=worker) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60) as http,
    ):
        live = await http.get("/live")
        assert live.json()["reasons"] == ["the worker has not started"]
        async with worker:
            assert (await http.get("/live")).json() == {"ok": True, "reasons": []}
            async with asyncio.timeout(60):
                while (await http.get("/ready")).status_code != 200:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
        assert (await http.get("/live")).status_code == 503


async def test_tokens_say_who_may_do_what(ready: Commands) -> None:
    file = ready.folder / "tokens.toml"
    made = await command(ready, "token", "ada", "--tenant", "acme", "--scope", "submit")
    reads = await command(ready, "token", "bob", "--tenant", "*", "--scope", "read")
    file.write_text(made.out + reads.out)
    assert made.err.strip() not in file.read_text()
    options = ("--tokens", str(file))
    async with answering(ready, *options, token=made.err.strip()) as api:
        await api.post("/v1/jobs", {"type": "a"})
        assert (await api.http.get("/v1/overview")).status_code == 403
        bob = {"Authorization": f"Bearer {reads.err.strip()}"}
        assert (await api.http.get("/v1/overview", headers=bob)).status_code == 200
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.get(f"{api.url}/v1/overview")).status_code == 401
        assert (await api.http.get("/")).status_code == 200
    (record,) = await asyncio.to_thread(ready.records)
    assert (record.tenant, record.caller.user) == ("acme", "ada")


async def test_what_cannot_be_listened_on_is_one_clear_line(ready: Commands) -> None:
    refusal = (await command(ready, "api", "--host", "0.0.0.0")).refusal  # noqa: S104 - it is refused
    assert refusal.startswith("0.0.0.0 can be reached by others: name who may do what")
    refusal = (await command(ready, "api", "--tokens", str(Path("none.toml")))).refusal
    assert refusal == "none.toml cannot be read: No such file or directory"
    async with answering(ready) as api:
        port = api.url.rpartition(":")[2]
        refusal = (await command(ready, "api", "--port", port)).refusal
        assert refusal == f"127.0.0.1:{port} cannot be listened on: Address already in use"
