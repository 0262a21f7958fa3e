"""Does the fixture of the real stack give every test one of its own?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from processor import ConfigurationError, Jobs, Request, Settings, Submission
from processor.bootstrap.topics import check_topics
from processor.local.stack import Stack
from processor.testing import working
from processor.testing.embedded import own_settings

WITHOUT_A_PACKAGE = """
from processor.local import packages

pytest_plugins = ["processor.testing.fixtures"]
packages.NEEDED += ("a_package_that_is_missing",)
"""
ASKS = "def test_anything(jobs_settings):\n    pass\n"


async def test_a_worker_a_projector_and_a_client_run_inside_the_test(
    jobs_settings: Settings,
) -> None:
    jobs = Jobs()

    @jobs.handler("written")
    async def written(request: Request[int]) -> int:
        connection = await request.connection()
        return int(await connection.fetchval("SELECT 2 * $1::int", request.payload))

    async with working(jobs, jobs_settings) as client:
        job = await client.submit(Submission("written", 21))
        assert await client.result(job, timeout=60) == 42


async def test_topics_and_tables_are_the_tests_own_and_gone_afterwards(
    jobs_stack: Stack, jobs_template: str, jobs_settings: Settings
) -> None:
    def used() -> Settings:
        with own_settings(jobs_stack, jobs_template) as settings:
            return settings

    others = await asyncio.to_thread(used)
    assert others.namespace != jobs_settings.namespace
    connection = await asyncpg.connect(jobs_stack.database)
    try:
        names = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()
    assert _name(jobs_settings) in names
    assert _name(others) not in names
    while await _are_there(others):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)


def test_without_the_extra_it_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WITHOUT_A_PACKAGE)
    (tmp_path / "test_asks.py").write_text(ASKS)
    told = pytest_in(tmp_path)
    said = [line for line in told.splitlines() if "a_package_that_is_missing" in line]
    assert said[0] == (
        "the embedded stack needs a_package_that_is_missing: pip install 'job-processor[local]'"
    ), told
    assert "Traceback" not in told
    assert "1 error" in told


def test_nobody_who_does_not_ask_has_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_asks.py").write_text(ASKS)
    told = pytest_in(tmp_path)
    assert "fixture 'jobs_settings' not found" in told


def pytest_in(folder: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


async def _are_there(settings: Settings) -> bool:
    try:
        await check_topics(settings)
    except ConfigurationError:
        return False
    return True


def _name(settings: Settings) -> str:
    return urlsplit(settings.need_database()).path.strip("/")
