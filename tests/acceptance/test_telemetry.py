"""Does a process that has an OpenTelemetry SDK see its jobs, without telling us anything of it?"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.local.stack import Stack
from tests.commands import Commands, commands

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
PROCESS = """
import asyncio, json, os
from opentelemetry import metrics, trace
from processor import Client, Jobs, Reject, Retry, Settings, Submission, TryAgain, Worker
from processor.bootstrap.projecting import projecting
from tests.telemetry import Collected, ids, linked

collected = Collected()
metrics.set_meter_provider(collected.meters)
trace.set_tracer_provider(collected.tracers)
jobs = Jobs()


@jobs.handler("good")
async def good(request):
    await request.connection()


@jobs.handler("again")
async def again(request):
    if request.cluster.run == 1:
        raise TryAgain(0.01)


@jobs.handler("bad")
async def bad(request):
    raise Reject("no")


async def main():
    settings = Settings.from_env(os.environ)
    async with projecting(settings), Client.connect(settings) as client:
        async with Worker(jobs, settings):
            kinds = ("good", "again", "bad")
            ids_ = await client.submit([Submission(kind, entity="e") for kind in kinds])
            await client.result(ids_[0], timeout=60)
            await client.result(ids_[1], timeout=60)
            async with asyncio.timeout(90):
                while not (
                    collected.points("job.dlq_size") and collected.total("job.dlq_size") == 1
                    and collected.points("job.queue_depth")
                    and not collected.total("job.queue_depth")
                ):
                    await asyncio.sleep(0.2)
            status = await client.status(ids_[1])
        print(json.dumps({
            "totals": {
                name: collected.total(f"job.{name}")
                for name in ("completed_total", "failures_total", "retries_total", "dlq_size",
                             "wait_seconds", "processing_seconds")
            },
            "depths after the worker": len(collected.points("job.queue_depth")),
            "sent": [ids(span) for span in collected.named("send " + settings.topics.lanes[2])],
            "again": [[ids(span), sorted(linked(span))] for span in
                      collected.named("process again")],
            "status": ids(status.trace),
            "group": collected.named("process good")[0].attributes[
                "messaging.consumer.group.name"],
        }))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("seen")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


async def test_a_worker_a_projector_and_a_client_are_seen_by_their_processs_sdk(
    run: Commands,
) -> None:
    path = os.pathsep.join([str(ROOT), *sys.path])
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROCESS],
        env=run.environment({"PYTHONPATH": path}),
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert told["totals"] == {
        "completed_total": 2,
        "failures_total": 1,
        "retries_total": 1,
        "dlq_size": 1,
        "wait_seconds": 3,
        "processing_seconds": 4,
    }
    assert told["depths after the worker"] == 0
    (first, before), (second, after) = told["again"]
    assert len(told["sent"]) == 3
    (submitted,) = before
    assert submitted in told["sent"]
    assert sorted([submitted, first]) == after
    assert told["status"] == second
    assert told["group"] == f"worker.{run.settings.namespace}"
