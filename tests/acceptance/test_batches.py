"""Does one function take one submission and as many as there are, in bounded memory?"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import chain
from uuid import UUID

import pytest

from processor import Client, JobId, Jobs, Request, State, Submission
from processor.runtime.checking import CHUNK
from tests.commands import Commands
from tests.inside import working

pytestmark = pytest.mark.timeout(240)

PAYLOAD = 4_000
SUBMITTER = """
import asyncio, gc, os, re, sys
from pathlib import Path
from processor import Client, Settings, Submission


def memory(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{name}:\\s+(\\d+) kB$", status, re.MULTILINE)[1])


async def main(kind, count, size):
    payload = "y" * size
    one = lambda number: Submission("a", payload, entity=f"e{number % 1000}")
    async with Client.connect(Settings.from_env(os.environ)) as client:
        await client.submit([one(number) for number in range(2_000)])
        many = (one(number) for number in range(count))
        if kind == "list":
            many = list(many)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # what was most so far is what is now
        before = memory("VmRSS")
        ids = await client.submit(many)
        assert len(set(ids)) == count
        print("grown", memory("VmHWM") - before)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


async def growth(run: Commands, kind: str, count: int) -> int:
    """By how many KiB a process grew that submitted so many in one call."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SUBMITTER, kind, str(count), str(PAYLOAD)),
        env=run.environment({"JOBS_DATABASE": None}),
        cwd=run.folder,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await started.communicate()
    assert started.returncode == 0, out
    return int(out.split()[-1])


@pytest.mark.parametrize(
    ("kind", "few", "many"),
    [
        ("list", 5_000, 20_000),
        pytest.param("list", 50_000, 200_000, marks=pytest.mark.long),
        pytest.param("generator", 50_000, 200_000, marks=pytest.mark.long),
    ],
)
async def test_200_000_submissions_in_one_call_need_little_more_memory_than_a_few_but_for_their_ids(
    ready: Commands,
    kind: str,
    few: int,
    many: int,
    record_property: Callable[[str, object], None],
) -> None:
    grown = [await growth(ready, kind, count) for count in (few, many)]
    record_property("KiB", grown)
    # The payloads alone, once over, would be ten times as much.
    assert grown[1] - grown[0] < (many - few) * PAYLOAD / 1024 / 10 + 10 * 1024, grown


async def test_submit_returns_only_the_id_and_before_anything_is_processed_one_and_many_through_one_function(  # noqa: E501
    ready: Commands,
) -> None:
    jobs, submitted = Jobs(), asyncio.Event()

    @jobs.handler("counted")
    async def counted(request: Request[int]) -> int:
        await submitted.wait()
        return request.payload

    some = [Submission("counted", number) for number in range(14)]

    async def one_by_one() -> AsyncIterator[Submission]:
        for one in some[8:10]:
            yield one

    async with working(ready.settings, jobs) as client:
        first = await client.submit(some[0])
        assert isinstance(first, UUID)
        many = [
            await client.submit(some[1:4]),
            await client.submit(tuple(some[4:6])),
            await client.submit(one for one in some[6:8]),
            await client.submit(one_by_one()),
            await client.submit({one.id: one for one in some[10:]}.values()),
            await client.submit([]),
            await client.submit(iter([])),
        ]
        assert [type(ids) for ids in many] == [list] * len(many)
        assert many[-2:] == [[], []]
        ids = [first, *chain(*many)]
        assert ids == [one.id for one in some]
        states = {(await client.status(job)).state for job in ids}
        assert states <= {State.QUEUED, State.PROCESSING}
        submitted.set()
        assert [await client.result(job, timeout=60) for job in ids] == list(range(14))
    # Where nobody works and no database is, it returns as well.
    async with Client.connect(replace(ready.settings, database=None)) as alone:
        assert isinstance(await alone.submit(Submission("nobody")), UUID)


async def test_submitting_the_same_objects_again_is_harmless_also_where_they_stopped_coming(
    ready: Commands,
) -> None:
    jobs, ran = Jobs(), Counter[JobId]()

    @jobs.handler("counted")
    async def counted(request: Request[int]) -> None:
        ran[request.job_id] += 1

    some = [Submission("counted", number, entity=f"e{number % 7}") for number in range(CHUNK + 500)]

    def breaks() -> Iterator[Submission]:
        yield from some[: CHUNK + 50]
        raise ConnectionError("the source is away")

    async with working(ready.settings, jobs) as client:
        with pytest.raises(ConnectionError) as broken:
            await client.submit(breaks())
        (note,) = broken.value.__notes__
        assert note.startswith(f"{CHUNK:,} submissions before it are appended; ")
        appended = {record.job for record in await asyncio.to_thread(ready.records)}
        assert appended == {one.id for one in some[:CHUNK]}
        ids = [await client.submit(some) for _ in range(2)]
        assert ids == [[one.id for one in some]] * 2
        one, same = [await client.submit(some[0]) for _ in range(2)]
        assert one == same == ids[0][0]
        last = [Submission("counted", number, entity=f"e{number}") for number in range(7)]
        for job in await client.submit(last):  # each behind all of its entity
            await client.result(job, timeout=60)
    assert ran == Counter([*ids[0], *(one.id for one in last)])
