"""Is a payload that does not fit taken all the same, and then never tried twice, nor told?

A process of its own works on such payloads, with an SDK that collects everything and every logger
at DEBUG; what it and everybody else can say afterwards is searched for what was in them. A dead
letter holds its submission whole, that is its purpose; nothing else may.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from processor import Client, JobId, Priority, Submission
from processor.domain.ids import dead_letter_id, partition_of
from processor.domain.submission import SubmissionRecord
from processor.runtime.submission import new_id
from tests import misfits
from tests.commands import CODEC, Commands
from tests.evidence import log_of
from tests.inside import command
from tests.misfits import CASES, FOREIGN, NUMBER, SECRET

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
PROCESS = """
import asyncio, json, logging, os, sys
from uuid import UUID
import structlog
from opentelemetry import metrics, trace
from misfits import misfitting
from processor import Client, JobFailed, Settings, Worker
from processor.bootstrap.projecting import projecting
from tests.inside import when
from tests.telemetry import Collected

collected = Collected()
metrics.set_meter_provider(collected.meters)
trace.set_tracer_provider(collected.tracers)
structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    logger_factory=structlog.WriteLoggerFactory(sys.stderr),
)
logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
# It tells whole requests and responses, byte by byte; `processor worker` silences all of aiokafka.
logging.getLogger("aiokafka.conn").setLevel(logging.INFO)


async def heard(client, jobs):
    events = {}
    async for event in client.events.subscribe(JobFailed, group="all"):
        events[str(event.job)] = event
        if len(events) == len(jobs):
            return events


async def main():
    settings, called = Settings.from_env(os.environ), []
    jobs = [UUID(line) for line in sys.argv[1:]]
    async with projecting(settings), Client.connect(settings) as client:
        async with Worker(misfitting(called), settings):
            statuses = [await when(client, job, lambda one: one.state == "failed") for job in jobs]
            events = await heard(client, jobs)
            while collected.total("job.failures_total") < len(jobs):
                await asyncio.sleep(0.05)
        print(json.dumps({
            "called": len(called),
            "jobs": {
                str(status.job_id): {
                    "reason": status.current.error.reason,
                    "fields": status.current.error.fields,
                    "place": status.current.error.place + status.current.error.traceback,
                    "attempts": status.attempts,
                    "history": [type(one.event).__name__ for one in status.history],
                    "all": repr(status),
                    "event": repr(event),
                    "heard": [event.reason, event.attempts],
                }
                for status in statuses for event in [events[str(status.job_id)]]
            },
            "retries": collected.total("job.retries_total"),
            "failures": collected.total("job.failures_total"),
            "spans": len(collected.spans.get_finished_spans()),
            "collected": collected.everything(),
        }))


asyncio.run(main())
"""


async def test_validation_happens_at_processing_with_one_attempt_the_field_paths_and_no_value_told(
    ready: Commands,
) -> None:
    async with Client.connect(ready.settings) as client:
        jobs = await client.submit([Submission(kind, what) for kind, what, _ in CASES.values()])
    wanted = {str(job): list(paths) for job, (*_, paths) in zip(jobs, CASES.values(), strict=True)}
    wanted |= {str(job): [""] for job in await appended(ready, FOREIGN.values())}
    told, logs = await worked(ready, wanted)
    assert told["called"] == told["retries"] == 0
    assert told["failures"] == len(wanted)
    for job, paths in wanted.items():
        one = told["jobs"][job]
        assert (one["reason"], one["attempts"], one["place"]) == ("ParseError", 1, "")
        assert one["fields"] == paths
        assert one["history"] == ["Queued", "Started", "Failed"]
        assert one["heard"] == ["ParseError", 1]
    assert told["spans"] >= len(wanted)
    hidden(json.dumps(told))
    hidden(logs)
    first = str(jobs[0])
    letter = str(dead_letter_id(jobs[0], 1))
    for words in (
        ("status", first),
        ("status", first, "--json"),
        ("dead-letters", "list", "--json"),
        ("dead-letters", "show", letter),
    ):
        said = await command(ready, *words)
        assert said.code == 0, said
        assert "small: Input should be less than or equal to 9" in said.out
        hidden(said.out + said.err)
    log = await log_of(ready.settings.need_kafka(), ready.settings.topics)
    assert len(log.facts) == len(log.failed) == len(wanted)
    hidden(repr([replace(one.outcome, submission=None) for one in log.journal]))
    hidden(repr([replace(fact, submission=None) for fact in log.facts]))
    hidden(repr(log.failed))
    for fact in log.facts:
        assert is_in(str(fact.submission)), fact


def is_in(text: str) -> bool:
    return SECRET in text or str(NUMBER) in text


def hidden(text: str) -> None:
    """Fail with what stands around it if anything of a payload is in a text."""
    for secret in (SECRET, str(NUMBER)):
        before, found, after = text.partition(secret)
        assert not found, f"{before[-300:]}{secret}{after[:300]}"


async def appended(run: Commands, foreign: Iterable[tuple[str, bytes]]) -> list[JobId]:
    """Submissions as anybody with a producer can append them."""
    records = [
        SubmissionRecord(new_id(), kind, payload, "foreign", Priority.NORMAL, 1)
        for kind, payload in foreign
    ]
    async with AIOKafkaProducer(bootstrap_servers=run.settings.kafka) as producer:
        for one in records:
            await producer.send_and_wait(
                run.settings.topics.lane(one.priority),
                CODEC.encode_submission(one),
                key=one.entity.encode(),
                partition=partition_of(one.entity, run.settings.partitions),
            )
    return [one.job for one in records]


async def worked(run: Commands, jobs: Iterable[str]) -> tuple[dict[str, Any], str]:
    """What the process told when it had ended them, and all that it logged."""
    shutil.copy(misfits.__file__, run.folder / "misfits.py")
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROCESS, *jobs],
        env=run.environment({"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}),
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "took a partition over" in ended.stderr
    assert "DEBUG:" in ended.stderr
    return json.loads(ended.stdout), ended.stderr
