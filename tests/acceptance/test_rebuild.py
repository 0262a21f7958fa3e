"""Does `processor rebuild` tell the truth, and disturb nobody? On the real stack."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from processor import Client, Jobs, Reject, Request, State, Submission, Worker
from processor.adapters.kafka.cutting import KafkaCutting
from processor.adapters.postgres.office import PostgresOffice
from processor.adapters.postgres.pool import Pool
from processor.bootstrap.projecting import projecting
from processor.domain.ids import JobId
from processor.local.stack import Stack
from processor.ports.log import Place
from tests.commands import Commands, Ended, commands

pytestmark = pytest.mark.timeout(240)

PARTITIONS = 2
ENDED = """
SELECT count(DISTINCT job) FROM jobs.history WHERE ended_at IS NOT NULL AND job = ANY ($1)
"""


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("counted", breaker=None)
    async def counted(request: Request[int]) -> int:
        if request.payload % 10 == 0:
            raise Reject("never")
        return request.payload + 1

    return jobs


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path, PARTITIONS) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


async def asked(run: Commands, query: str, *arguments: object) -> Any:  # noqa: ANN401 - any value
    connection = await asyncpg.connect(run.variables["JOBS_DATABASE"])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def work(run: Commands, jobs: int, client: Client) -> list[JobId]:
    """Submit so many and wait until the history has seen the end of each."""
    ids = await client.submit([Submission("counted", number) for number in range(jobs)])
    while await asked(run, ENDED, ids) < jobs:  # noqa: ASYNC110 - others work
        await asyncio.sleep(0.1)
    return ids


async def rebuilt(run: Commands, *options: str) -> Ended:
    return await asyncio.to_thread(run, "rebuild", *options)


ROWS = """
SELECT md5(string_agg(h::text, ',' ORDER BY job, generation, timeline, upto)) FROM jobs.history h
"""
LETTERS = "SELECT md5(string_agg(d::text, ',' ORDER BY job, generation)) FROM jobs.dead_letter d"
LEFT = "SELECT count(*) FROM pg_namespace WHERE nspname = 'jobs_rebuild'"
HELD = "SELECT count(*) FROM jobs.checkpoint WHERE projection LIKE 'rebuild:%'"


async def test_a_rebuild_says_what_the_tables_say_and_takes_their_place(run: Commands) -> None:
    settings = run.settings
    async with (
        projecting(settings),
        Worker(application(), settings),
        Client.connect(settings) as client,
    ):
        ids = await work(run, 300, client)
    before = await asked(run, ROWS), await asked(run, LETTERS)
    facts = await facts_of(run)
    first = await asked(run, "SELECT 'jobs.history'::regclass::oid")
    ended = await rebuilt(run)
    assert ended.code == 0, ended
    assert re.search(r"^[\d,]+ records folded again", ended.out), ended
    assert "rows compared, 0 differ" in ended.out
    assert "taken the place of the tables" in ended.out
    assert (await asked(run, ROWS), await asked(run, LETTERS)) == before
    assert await asked(run, "SELECT 'jobs.history'::regclass::oid") != first
    assert await facts_of(run) == facts == 30
    assert await asked(run, LEFT) == await asked(run, HELD) == 0
    told = run("status", str(ids[1]))
    assert "is complete" in told.out


async def facts_of(run: Commands) -> int:
    """How many facts the dead-letter topic holds."""
    topic = run.settings.topics.dead_letters
    places = [Place(topic, number) for number in range(PARTITIONS)]
    found = await KafkaCutting(run.settings.need_kafka()).bounds(places)
    return sum(end for _, end in found.values())


async def test_a_rebuild_beside_a_projector_at_work_loses_nothing_and_disturbs_nobody(
    run: Commands,
) -> None:
    settings = run.settings
    with run.serving("projector"):
        async with Worker(application(), settings), Client.connect(settings) as client:
            first = await work(run, 300, client)
            more = asyncio.create_task(work(run, 3_000, client))
            for _ in range(3):
                ended = await rebuilt(run)
                assert ended.code == 0, ended
                assert "0 differ" in ended.out
                assert "taken the place" in ended.out
            ids = first + await more
            statuses = [await client.status(job) for job in ids]
    assert {status.state for status in statuses} == {State.COMPLETE, State.FAILED}
    assert all(len(status.history) == 3 for status in statuses)
    letters = await asked(run, "SELECT count(*) FROM jobs.dead_letter WHERE closed IS NULL")
    assert letters == await facts_of(run) == 330
    said = (run.folder / "projector.log").read_text()
    assert "stands by" not in said
    assert "begins again" not in said


async def test_a_rebuild_of_a_log_whose_start_was_cut_copies_what_reaches_back(
    run: Commands,
) -> None:
    settings = run.settings
    async with (
        projecting(settings),
        Worker(application(), settings),
        Client.connect(settings) as client,
    ):
        ids = await work(run, 200, client)
        cutting = KafkaCutting(settings.need_kafka())
        topics = (*settings.topics.lanes, settings.topics.events, settings.topics.dead_letters)
        places = [Place(topic, number) for topic in topics for number in range(PARTITIONS)]
        found = await cutting.bounds(places)
        await cutting.cut({place: end // 2 for place, (_, end) in found.items()})
        ids += await work(run, 50, client)
    before = await asked(run, ROWS), await asked(run, LETTERS)
    ended = await rebuilt(run)
    assert ended.code == 0, ended
    assert re.search(r"\d+ jobs reach further back than the log", ended.out)
    assert "0 differ" in ended.out
    assert (await asked(run, ROWS), await asked(run, LETTERS)) == before


async def test_differences_are_printed_and_nothing_is_replaced_until_told(run: Commands) -> None:
    settings = run.settings
    async with (
        projecting(settings),
        Worker(application(), settings),
        Client.connect(settings) as client,
    ):
        ids = await work(run, 50, client)
    right = await asked(run, ROWS)
    await asked(run, "DELETE FROM jobs.history WHERE job = $1", ids[1])
    await asked(run, "UPDATE jobs.history SET body = 'x' WHERE job = $1 AND upto < 0", ids[2])
    await asked(run, "UPDATE jobs.dead_letter SET closed = 'd' WHERE job = $1", ids[0])
    wrong = await asked(run, ROWS)
    ended = await rebuilt(run)
    assert ended.code == 1, ended
    assert "4 differ" in ended.out
    assert ended.out.count(f"history {ids[1]}") == 2
    assert f"history {ids[2]} 1 0 -2: the log tells it otherwise" in ended.out
    assert f"dead_letter {ids[0]} 1: the log tells it otherwise" in ended.out
    assert await asked(run, ROWS) == wrong
    assert await asked(run, LEFT) == await asked(run, HELD) == 0
    ended = await rebuilt(run, "--although-different")
    assert ended.code == 0, ended
    assert await asked(run, ROWS) == right


async def test_a_second_rebuild_at_once_is_refused_in_one_line(run: Commands) -> None:
    async with Pool(run.variables["JOBS_DATABASE"], 1) as pool:
        assert await PostgresOffice(pool, "rebuild").held()
        ended = await rebuilt(run)
    assert ended.refusal == "another rebuild is under way: let it end, or stop it"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_a_rebuild_that_is_stopped_leaves_everything_as_it_was(
    run: Commands, how: signal.Signals
) -> None:
    settings = run.settings
    async with (
        projecting(settings),
        Worker(application(), settings),
        Client.connect(settings) as client,
    ):
        await work(run, 100, client)
    before = await asked(run, ROWS)
    process = run.start("rebuild")
    while not await asked(run, HELD):
        assert process.poll() is None
        await asyncio.sleep(0.01)
    process.send_signal(how)
    await asyncio.to_thread(process.communicate, None, 60)
    assert await asked(run, ROWS) == before
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert await asked(run, LEFT) == await asked(run, HELD) == 0
    else:
        assert process.returncode == -signal.SIGKILL
    ended = await rebuilt(run)
    while (
        ended.code == 2 and "another rebuild" in ended.err
    ):  # a session that ends with its process
        ended = await rebuilt(run)
    assert ended.code == 0, ended
    assert await asked(run, LEFT) == await asked(run, HELD) == 0
    assert await asked(run, ROWS) == before
