"""Does `processor bench` measure, and leave nothing behind?"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from processor.local.stack import Stack
from tests.commands import SECONDS, Commands, variables_of


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Commands]:
    """The command line beside the session's stack; each round has a database of its own there."""
    yield Commands(variables_of(stack, stack.database, "unused", 4), tmp_path)
    assert asyncio.run(left(stack)) == []


async def left(stack: Stack) -> list[str]:
    connection = await asyncpg.connect(stack.database)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname ~ '^bench-'")
        return [name for (name,) in rows]
    finally:
        await connection.close()


def test_a_round_is_told_in_a_line_and_in_json(bench: Commands, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = bench("bench", "W1", "--jobs", "200", "--repeat", "1", "--json", str(file))
    assert ended.code == 0, ended
    (line,) = ended.out.splitlines()
    assert line.startswith("W1 (no database; 200 jobs, 1 round): ")
    told = json.loads(file.read_text())
    assert told["settings"]["partitions"] == 4
    (answer,) = told["answers"]
    assert (answer["name"], answer["jobs"], answer["workers"]) == ("W1", 200, 1)
    (one,) = answer["rounds"]
    assert one["figures"]["jobs/s"] == answer["median"]["jobs/s"] > 0
    assert {"worker", "Postgres", "broker"} <= one["cpu_seconds_per_1000"].keys()
    assert one["memory_mib"]["worker"] > 0


def test_ctrl_c_in_the_middle_of_a_round_leaves_no_process_and_no_folder(
    bench: Commands, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    started = bench.start("bench", "W1", "--jobs", "20000", TMPDIR=str(folder))
    try:
        assert started.stderr is not None
        while b": working" not in started.stderr.readline():
            assert started.poll() is None
        family = psutil.Process(started.pid).children(recursive=True)
        assert family
        assert [one.name for one in folder.iterdir()] != []
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=SECONDS)
    finally:
        started.kill()
    assert started.returncode == 130
    assert psutil.wait_procs(family, timeout=SECONDS)[1] == []
    assert list(folder.iterdir()) == []


def test_a_benchmark_that_there_is_not_is_one_clear_line(bench: Commands) -> None:
    assert "'W9' is no benchmark; there are W1, W2.raw" in bench("bench", "W9").refusal
