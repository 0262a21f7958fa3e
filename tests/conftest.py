"""On which broker and database do the tests run?

`--stack local` (the default) starts the embedded stack when the first test asks for it;
`--stack containers` starts the same two servers through testcontainers.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from processor.local.stack import LocalStack, Stack
from tests.stacks import containers, embedded, engine_missing

TEMPLATE = "jobs_template"
MIGRATE = """
import asyncio, sys
from processor.adapters.postgres.migrations import migrate
asyncio.run(migrate(sys.argv[1]))
"""
NOT_RUN = "not run on --stack containers"

# A busy machine is no fault of an example: no test here asserts a time.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="where tests find Kafka and PostgreSQL: started by themselves, or in containers",
    )


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Skips are easily overlooked: say plainly when the containers were not there."""
    skipped = terminalreporter.getreports("skipped")
    missed = [report for report in skipped if NOT_RUN in str(report.longrepr)]
    if missed:
        terminalreporter.write_sep("!", f"{len(missed)} tests were {NOT_RUN}: no container engine")


@pytest.fixture(scope="session")
def local_stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """The embedded stack with its handles: kill, stop, start, frozen.

    They block: inside a coroutine call them through `asyncio.to_thread`.
    """
    if request.config.getoption("--stack") != "local":
        pytest.skip("kills and restarts servers, which only --stack local can")
    with embedded() as started:
        yield started


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A broker and a database, the same for the whole session."""
    if request.config.getoption("--stack") == "local":
        local: LocalStack = request.getfixturevalue("local_stack")
        yield local.stack
        return
    if reason := engine_missing():
        pytest.skip(f"{NOT_RUN}: it needs a container engine, {reason}")
    with containers(tmp_path_factory.mktemp("containers")) as started:
        yield started


@pytest.fixture
def namespace() -> str:
    """A namespace of topics and groups that no other test has."""
    return f"test-{secrets.token_hex(5)}"


@pytest.fixture(scope="session")
def migrated_template(stack: Stack) -> str:
    """The name of a database with our tables and no rows, from which others are copied."""
    asyncio.run(_administer(stack, f'CREATE DATABASE "{TEMPLATE}"'))
    # In a process of its own: reading the migrations blocks, which the tests' loops may forbid.
    subprocess.run([sys.executable, "-c", MIGRATE, _named(stack, TEMPLATE)], check=True)
    return TEMPLATE


@pytest.fixture
def database(stack: Stack, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    name = f"test_{secrets.token_hex(5)}"
    asyncio.run(_administer(stack, f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"'))
    yield _named(stack, name)
    asyncio.run(_administer(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))


def _named(stack: Stack, name: str) -> str:
    return urlsplit(stack.database)._replace(path=f"/{name}").geturl()


async def _administer(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.database)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
