"""Does nothing start where topics and database do not belong together, and is the remedy named?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from processor import Client, Jobs, Worker
from processor.adapters.postgres import migrations
from processor.bootstrap.migrating import migrate
from processor.domain.errors import ConfigurationError
from processor.local.stack import Stack
from processor.settings import Settings
from tests.commands import Commands, commands

MISSING = "does not exist: run `processor migrate`"


@pytest.fixture
def place(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[Commands]:
    """A namespace and an empty database; an application without handlers is there."""
    (tmp_path / "app.py").write_text("from processor import Jobs\n\njobs = Jobs()\n")
    with commands(stack, namespace, tmp_path) as run:
        yield run


async def delete_and_make_again(settings: Settings, topic: str) -> None:
    """What an operator does who wants to empty a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.need_kafka())
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()
    with pytest.raises(ConfigurationError, match=f"{topic} was deleted and made again"):
        await migrate(settings)  # which makes what is missing


async def test_whoever_meets_a_missing_topic_is_told_to_migrate(place: Commands) -> None:
    settings = place.settings
    await migrations.migrate(settings.need_database())
    with pytest.raises(ConfigurationError, match=MISSING):
        async with Worker(Jobs(), settings):
            pass
    with pytest.raises(ConfigurationError, match=MISSING):
        async with Client.connect(settings):
            pass
    refused = await asyncio.to_thread(place, "status", str(uuid4()))
    assert refused.refusal.endswith(MISSING)


async def test_a_topic_that_was_made_again_is_refused_by_all_that_keep_positions(
    place: Commands,
) -> None:
    settings = place.settings
    await migrate(settings)
    await migrate(settings)
    async with Worker(Jobs(), settings):
        pass
    await delete_and_make_again(settings, settings.topics.lanes[2])
    told = [
        await asyncio.to_thread(place, *command)
        for command in (("worker", "app:jobs"), ("projector",))
    ]
    expected = f"the topic {settings.topics.lanes[2]} was deleted and made again"
    assert [one.err.splitlines()[-1].startswith(f"processor: {expected}") for one in told] == [
        True,
        True,
    ]
    assert [one.code for one in told] == [2, 2]


async def test_a_second_namespace_is_refused_by_a_database(
    place: Commands, stack: Stack, tmp_path: Path
) -> None:
    await migrate(place.settings)
    other = Commands(place.variables | {"JOBS_NAMESPACE": f"{place.settings.namespace}x"}, tmp_path)
    with pytest.raises(ConfigurationError, match="one namespace has one database"):
        await migrate(other.settings)
    assert other.settings.need_kafka() == stack.kafka
