"""On which topics and tables does a test stand that needs them to itself?"""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.bootstrap.topics import create_topics
from processor.local.stack import Stack
from tests.commands import Commands, variables_of


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
