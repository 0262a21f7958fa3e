"""Does bad work end as a dead letter that tells what was wrong, and let everything else go on?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from processor import Client, JobId, JobNotComplete, JobStatus, State, Submission
from processor.domain.dead_letter import DeadLetterFact
from processor.domain.priority import Priority
from processor.domain.submission import SubmissionRecord
from processor.local.stack import Stack
from tests.commands import CODEC, Commands, commands
from tests.evidence import Sighting, log_of

pytestmark = pytest.mark.timeout(240)

APPLICATION = """
from processor import Jobs, Request, Retry

jobs = Jobs()
once = Retry(attempts=1)


def nested(depth):
    return [nested(depth - 1)] if depth else 0


RESULTS = {
    "no json": lambda: object(),
    "not a number": lambda: float("nan"),
    "too large": lambda: "x" * (256 * 1024),
    "too deep": lambda: nested(65),
}


@jobs.handler("returns", retry=once)
async def returns(request: Request[str]) -> object:
    connection = await request.connection()
    await connection.execute("INSERT INTO written VALUES ($1)", request.payload)
    return RESULTS[request.payload]()


@jobs.handler("good", retry=once)
async def good(request: Request[int]) -> int:
    return request.payload


@jobs.handler("bad", retry=once)
async def bad(request: Request[object]) -> None:
    raise RuntimeError("a message with \\0 and \\ud800 in it")
"""

WHOLE = CODEC.encode_submission(
    SubmissionRecord(JobId(uuid4()), "good", b"1", "e", Priority.HIGH, 1, tenant="t@")
)
FOREIGN = {
    "text": b"hello",
    "nothing": b"",
    "no value": None,
    "only a mark": WHOLE[:10],
    "a cut record": WHOLE[:-3],
    "a record and more": WHOLE + b"!",
    "a name that no database takes": WHOLE.replace(b"t@", b"t\0"),
}
"""What others may append to a lane: none of it is a submission of ours."""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("bad")) as run:
        (run.folder / "application.py").write_text(APPLICATION)
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        with run.serving("projector"), run.serving("worker", "application:jobs"):
            yield run


async def append(run: Commands, value: bytes | None, partition: int) -> None:
    """What anybody with a producer can do."""
    producer = AIOKafkaProducer(bootstrap_servers=run.settings.kafka)
    await producer.start()
    try:
        topic = run.settings.topics.lane(Priority.HIGH)
        await producer.send_and_wait(topic, value, key=b"", partition=partition)
    finally:
        await producer.stop()


async def undecodable(run: Commands) -> list[Sighting]:
    log = await log_of(run.settings.need_kafka(), run.settings.topics)
    return [one for one in log.lanes if one.entity is None]


async def end_of(run: Commands, job: UUID) -> JobStatus:
    async with Client.connect(run.settings) as client:
        with contextlib.suppress(JobNotComplete):
            await client.result(JobId(job), timeout=60)
        return await client.status(JobId(job))


async def letter_of(run: Commands, job: UUID) -> DeadLetterFact:
    """The job's dead letter, once the projector has written it."""
    connection = await asyncpg.connect(run.variables["JOBS_DATABASE"])
    try:
        while True:
            query = "SELECT body FROM jobs.dead_letter WHERE job = $1 AND closed IS NULL"
            body = await connection.fetchval(query, job)
            if body is not None:
                return CODEC.decode_dead_letter(body)
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


@pytest.mark.parametrize("what", FOREIGN)
async def test_foreign_bytes_in_a_lane_are_a_dead_letter_with_them_and_the_lane_goes_on(
    run: Commands, what: str
) -> None:
    before = {one.job for one in await undecodable(run)}
    await append(run, FOREIGN[what], partition=0)
    async with Client.connect(run.settings) as client:
        # One entity in each partition: the one that was spoilt goes on as well.
        submissions = [good(number) for number in range(16)]
        behind = await client.submit(submissions, priority=Priority.HIGH)
        results = [await client.result(job, timeout=60) for job in behind]
    assert results == list(range(16))
    (spoilt,) = (one for one in await undecodable(run) if one.job not in before)
    status = await end_of(run, spoilt.job)
    assert (status.state, status.current.reason) == (State.FAILED, "Undecodable")
    letter = await letter_of(run, spoilt.job)
    assert letter.submission == (FOREIGN[what] or b"")
    assert (letter.partition, letter.offset) == (0, spoilt.offset)
    told = run("status", str(spoilt.job))
    assert told.code == 0, told
    assert told.out.splitlines()[0].endswith(" is failed: Undecodable")


def good(number: int) -> Submission:
    return Submission("good", number, entity=f"entity-{number}")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("no json", "the result is not JSON: "),
        ("not a number", "the result is not JSON: it holds NaN"),
        ("too large", "the result has 262,146 bytes; at most 262,144 are kept"),
        ("too deep", "the result is nested deeper than 64 levels"),
    ],
)
async def test_a_result_that_cannot_be_kept_fails_in_one_line_and_undoes_what_was_written(
    run: Commands, result: str, said: str
) -> None:
    connection = await asyncpg.connect(run.variables["JOBS_DATABASE"])
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS written (what text)")
        async with Client.connect(run.settings) as client:
            job = await client.submit(Submission("returns", result, entity="e"))
        status = await end_of(run, job)
        assert (status.state, status.current.reason) == (State.FAILED, "ResultInvalid")
        assert await connection.fetchval("SELECT count(*) FROM written") == 0
    finally:
        await connection.close()
    letter = await letter_of(run, job)
    (error,) = letter.errors
    assert error.error.message.startswith(said)
    told = run("status", str(job))
    (line,) = (line for line in told.out.splitlines() if said in line)
    assert " failed " in line


async def test_an_error_may_say_what_neither_json_nor_a_database_can_hold(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        job = await client.submit(Submission("bad", {"\0": "\0"}, entity="\u2028", tenant="ü"))
    status = await end_of(run, job)
    assert (status.state, status.current.reason) == (State.FAILED, "HandlerFailed")
    assert (await letter_of(run, job)).tenant == "ü"
    shown = json.loads(run("status", str(job), "--json").out)
    assert shown["state"] == "failed"
