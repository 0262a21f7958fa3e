"""Does a run get a place of its own, and is counted there as the loop counts?"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from processor.adapters.kafka.topics import create
from processor.demo import tables
from processor.demo.expectation import expect
from processor.demo.export import Row, rows
from processor.domain.errors import ConfigurationError
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.settings import Settings
from processor.staging.place import made, variables
from processor.staging.place import stack as place_of


@pytest.fixture
def settings(stack: Stack) -> Settings:
    return Settings(kafka=stack.kafka, database=stack.database)


async def databases(settings: Settings) -> set[str]:
    connection = await asyncpg.connect(settings.need_database())
    try:
        return {name for (name,) in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()


async def land(connection: asyncpg.Connection[Any], row: Row) -> None:
    await connection.fetchrow(
        tables.LAND,
        uuid4(),
        datetime.fromisoformat(row.time_hour),
        row.carrier,
        row.flight,
        row.tailnum,
        row.origin,
        row.dest,
        row.air_time,
        row.distance,
        row.step,
    )


async def test_a_run_keeps_its_database_until_the_next_run(settings: Settings) -> None:
    async with made(settings, "demo") as first:
        assert first.settings.namespace in await databases(settings)
    assert first.settings.namespace in await databases(settings)
    async with made(settings, "demo") as second:
        assert first.settings.namespace in second.gone
        assert first.settings.namespace not in await databases(settings)
        assert second.settings.namespace != first.settings.namespace


async def topics_there(settings: Settings, topics: Topics) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.need_kafka())
    await admin.start()
    try:
        return set(topics.every) & set(await admin.list_topics())
    finally:
        await admin.close()


async def test_the_topics_of_an_earlier_run_go_with_its_database(settings: Settings) -> None:
    async with made(settings, "demo") as first:
        earlier = first.settings.topics
        await create(settings.need_kafka(), earlier, partitions=1, copies=1, in_sync=1)
    assert await topics_there(settings, earlier) == set(earlier.every)
    async with made(settings, "demo"):
        assert await topics_there(settings, earlier) == set()


async def test_two_runs_at_once_leave_each_other_alone(settings: Settings) -> None:
    async with made(settings, "demo") as first, made(settings, "demo") as second:
        assert first.settings.namespace not in second.gone
        running = await databases(settings)
        assert {first.settings.namespace, second.settings.namespace} <= running


async def test_a_database_that_cannot_be_made_is_one_clear_line(settings: Settings) -> None:
    wrong = Settings(kafka=settings.kafka, database="postgresql://jobs@127.0.0.1:1/jobs")
    with pytest.raises(ConfigurationError, match="cannot make a database of its own"):
        async with made(wrong, "demo"):
            pass


async def test_the_tables_count_in_order_as_the_plain_loop_does(settings: Settings) -> None:
    fitting = [row for row in rows(1_000) if row.tailnum and row.air_time is not None]
    async with made(settings, "demo") as place:
        await place.connection.execute(tables.CREATE)
        for row in fitting:
            await land(place.connection, row)
        assert await tables.aircraft(place.connection) == expect(fitting).aircraft
        assert await tables.flights(place.connection) == (len(fitting), len(fitting))


def test_what_jobs_names_is_used_and_passed_on_whole() -> None:
    named = {"JOBS_KAFKA": "broker:9092", "JOBS_DATABASE": "postgresql://jobs@server/jobs"}
    with place_of(named, "demo", print, None) as settings:
        assert (settings.kafka, settings.database) == tuple(named.values())
        assert Settings.from_env(variables(settings)) == settings
        assert settings.session_timeout == 6


def test_half_of_what_jobs_must_name_is_one_clear_line() -> None:
    with (
        pytest.raises(ConfigurationError, match="JOBS_DATABASE is not set"),
        place_of({"JOBS_KAFKA": "broker:9092"}, "demo", print, None),
    ):
        pass


async def test_a_running_stack_is_found_and_used(stack: Stack) -> None:
    def find() -> Settings:
        with place_of({"JOBS_LOCAL": str(stack.folder)}, "demo", print, None) as settings:
            return settings

    settings = await asyncio.to_thread(find)
    assert (settings.kafka, settings.database) == (stack.kafka, stack.database)
