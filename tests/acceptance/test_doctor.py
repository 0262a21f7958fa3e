"""Does the doctor name everything that is wrong, and how to mend it, in a line each?

Every fault is made to be on the real stack; clocks alone are not moved, but what this machine says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processor import Settings
from processor.adapters.kafka import timing
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.topics import administering
from processor.adapters.postgres import examining
from processor.bootstrap.doctor import Doctor
from processor.ports.log import Append, Place
from tests.commands import Commands
from tests.inside import command

pytestmark = pytest.mark.timeout(240)


async def told(settings: Settings) -> list[str]:
    """What is wrong, each with its part."""
    report = await Doctor(settings).examine()
    return [f"{wrong.part}: {wrong}" for wrong in report.wrong]


async def test_where_all_is_well_it_says_so_and_what_is_waived(ready: Commands) -> None:
    ended = await command(ready, "doctor")
    assert ended.code == 0, ended
    waived, well = ended.out.splitlines()
    assert waived.startswith("note: JOBS_REPLICATION is 1: an acknowledged job may be on one disk")
    assert well == "all is well"
    ended = await command(ready, "doctor", "--json")
    assert json.loads(ended.out)["well"] is True
    ended = await command(ready, "migrate", "--json")
    assert json.loads(ended.out) == {"topics_created": [], "tables": "up to date"}


async def test_what_is_not_set_or_does_not_answer_is_a_line_each(ready: Commands) -> None:
    bare = Commands(dict.fromkeys(ready.variables, ""), ready.folder)
    ended = await command(bare, "doctor")
    assert ended.code == 1, ended
    kafka, database = ended.out.splitlines()
    assert kafka.startswith("settings: JOBS_KAFKA is not set: set it to the broker's host:port")
    assert database.startswith("settings: JOBS_DATABASE is not set: set it to postgresql://")
    away = replace(
        ready.settings, kafka="127.0.0.1:1", database="postgresql://jobs@127.0.0.1:1/jobs"
    )
    kafka, database = await told(away)
    assert kafka.startswith("kafka: no Kafka broker answers at 127.0.0.1:1;")
    assert database.startswith("postgres: PostgreSQL does not answer at 127.0.0.1:1/jobs")


async def test_a_wrong_setting_is_a_fault_like_any_other(ready: Commands) -> None:
    wrong = Commands(ready.variables, ready.folder)
    wrong.variables = {**ready.variables, "JOBS_SLOTS": "many"}
    ended = await command(wrong, "doctor", "--json")
    assert ended.code == 1, ended
    (fault,) = json.loads(ended.out)["faults"]
    assert fault["part"] == "settings"
    assert fault["fault"].startswith("JOBS_SLOTS is wrong: 'many' is no whole number")


async def test_topics_that_are_not_what_they_must_be_are_named_all(ready: Commands) -> None:
    settings = ready.settings
    names = settings.topics
    resource = ConfigResource(
        ConfigResourceType.TOPIC, names.events, {"retention.ms": "1000", "max.message.bytes": "9"}
    )
    async with administering(settings.need_kafka()) as admin:
        await admin.delete_topics([names.failed])
        await admin.alter_configs([resource])
    found = await told(settings)
    assert f"kafka: the topic {names.failed} does not exist: run `processor migrate`" in found
    alter = f"kafka-configs --alter --entity-type topics --entity-name {names.events} --add-config"
    assert (
        f"kafka: the topic {names.events} has retention.ms=1000, and -1 is needed;"
        f" {alter} retention.ms=-1"
    ) in found
    assert any(one.endswith(f"{alter} max.message.bytes=4194304") for one in found)
    found = await told(replace(settings, partitions=3, replication=3))
    assert sum("partitions, and this namespace was made with 3" in one for one in found) == 7
    assert sum("has 1 replicas, and 3 are needed" in one for one in found) == 7
    assert all("; " in one or ": run " in one for one in found)


async def test_rights_and_tables_that_are_missing_are_named_with_the_grant(
    ready: Commands,
) -> None:
    url = ready.settings.need_database()
    role = f"reader_{urlsplit(url).path.strip('/').replace('-', '_')}"[:60]
    connection = await asyncpg.connect(url)
    parts = urlsplit(url)
    as_reader = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
    settings = replace(ready.settings, database=as_reader)
    try:
        await connection.execute(f'CREATE ROLE "{role}" LOGIN')
        (schema,) = await told(settings)
        assert "permission denied" in schema or f"GRANT USAGE ON SCHEMA jobs TO {role}" in schema
        await connection.execute(f'GRANT USAGE ON SCHEMA jobs TO "{role}"')
        await connection.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA jobs TO "{role}"')
        found = await told(settings)
        assert f"postgres: a right is missing: INSERT ON jobs.ledger TO {role}" in {
            one.split(";")[0] for one in found
        }
        assert all(f"GRANT {one.split('missing: ')[1].split(';')[0]}" in one for one in found)
        await connection.execute("UPDATE jobs.migration SET version_num = '0001'")
        assert any("tables are of version 0001" in one for one in await told(ready.settings))
    finally:
        await connection.execute(f'DROP OWNED BY "{role}"')
        await connection.execute(f'DROP ROLE "{role}"')
        await connection.close()


async def test_records_that_this_release_cannot_read_are_named(ready: Commands) -> None:
    settings = ready.settings
    later = b"\xc3\x01" + bytes(range(8)) + b"written by a later release"
    place = Place(settings.topics.lanes[2], 1)
    async with KafkaLog(settings.need_kafka()) as log:
        await log.append([Append(place, b"E", b"nothing of ours"), Append(place, b"E", later)])
    connection = await asyncpg.connect(settings.need_database())
    try:
        aside = "INSERT INTO jobs.aside VALUES ($1, 0, 7, now(), $2)"
        await connection.execute(aside, settings.topics.events, later)
    finally:
        await connection.close()
    kept, unread = await told(settings)
    assert kept.startswith(f"records: 1 records of {settings.topics.events} are kept aside")
    assert unread == (
        f"records: {place.topic}[1] has a record at 1 that this release cannot read (no schema with"
        " the fingerprint 0001020304050607 is known): deploy one that can, readers first"
    )


@pytest.mark.parametrize(
    ("asked", "whose"), [(examining, "the database's"), (timing, "the broker's")]
)
async def test_clocks_that_differ_are_named(
    ready: Commands, asked: object, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: Callable[[], float] = lambda: time.time() - 60  # noqa: E731
    monkeypatch.setattr(asked, "time", SimpleNamespace(time=late))
    (fault,) = await told(ready.settings)
    assert fault.startswith(f"clock: {whose} clock is 60.0 s ahead of this machine's; let a time")
