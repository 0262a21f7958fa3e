"""On which topics and tables does a test stand that needs them to itself?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.bootstrap.topics import create_topics
from processor.local.stack import Stack
from tests.commands import Commands, commands, variables_of


@pytest.fixture
def partitions() -> int:
    return 4


@pytest.fixture
async def ready(
    stack: Stack, database: str, namespace: str, partitions: int, tmp_path: Path
) -> Commands:
    """The command line over topics and tables of this test's own, which are there."""
    run = Commands(variables_of(stack, database, namespace, partitions), tmp_path)
    await create_topics(run.settings)
    return run


@pytest.fixture(scope="module")
def shared_run(
    stack: Stack, jobs_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Commands]:
    """The same, for all tests of a module together; of two partitions."""
    name, folder = f"test-{secrets.token_hex(5)}", tmp_path_factory.mktemp("run")
    with commands(stack, name, folder, 2, template=jobs_template) as run:
        asyncio.run(create_topics(run.settings))
        yield run
