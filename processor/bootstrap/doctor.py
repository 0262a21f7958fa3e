"""Is everything there that the promises rest on, and what is to be done where it is not?

Everything is looked at, also behind the first thing that is wrong; what cannot be looked at because
of another fault is left out. Nothing is changed: a topic that is made to ask the broker for its
time is deleted again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka import timing, topics
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres import examining
from processor.adapters.postgres.cluster import Cluster
from processor.adapters.postgres.migrated import assert_migrated
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.telling import told
from processor.bootstrap.topics import PRODUCTION_COPIES
from processor.bootstrap.working import LOOKING_CONNECTIONS, SERVICE_CONNECTIONS
from processor.domain.errors import ConfigurationError, Unavailable
from processor.runtime.legibility import Legibility

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processor.adapters.kafka.topics import Examined
    from processor.settings import Settings

SECONDS_APART: Final = 2.0
"""Clocks that differ by more are wrong: schedules, ages and the order of times mislead."""
BESIDE_THE_POOLS: Final = 1
"""Connections of a worker that listens for wake-ups."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One fault."""

    part: str
    """settings, python, kafka, postgres, clock or records."""
    fault: str
    mend: str = ""
    """What to do, where the fault does not say so itself."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.fault}; {self.mend}" if self.mend else self.fault


@dataclass(slots=True)
class Report:
    """What a look at everything came to."""

    wrong: list[Wrong] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is worth knowing and no fault."""

    def add(self, part: str, fault: str, mend: str = "") -> None:
        """One more fault."""
        self.wrong.append(Wrong(part, fault, mend))

    async def at_least(self, part: str, look: Callable[[], Awaitable[None]]) -> None:
        """Look; what cannot be looked at is a fault as well."""
        try:
            await look()
        except (ConfigurationError, Unavailable) as error:
            self.add(part, str(error))


class Doctor:
    """Looks at everything that a worker with these settings needs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._report = Report()
        self._cluster: Examined | None = None
        self._positions: dict[int, tuple[int, int, int, int]] | None = None

    async def examine(self) -> Report:
        """Everything that is wrong."""
        report, settings = self._report, self._settings
        for need in (settings.need_kafka, settings.need_database):
            try:
                need()
            except ConfigurationError as error:
                report.add("settings", str(error))
        self._python()
        if settings.kafka is not None:
            await report.at_least("kafka", self._kafka)
        if settings.database is not None:
            await report.at_least("postgres", self._postgres)
        if self._cluster is not None:
            await report.at_least("clock", self._clock_of_kafka)
            if not any(wrong.part == "kafka" for wrong in report.wrong):
                await report.at_least("records", self._records)
        return report

    def _python(self) -> None:
        try:
            import uvloop  # noqa: F401, PLC0415 - looked at, not used
        except ImportError:
            self._report.add(
                "python", "uvloop is not installed: the event loop is slower", "pip install uvloop"
            )
        try:
            from asyncpg.protocol import protocol  # noqa: F401, PLC0415 - looked at, not used
        except ImportError:
            self._report.add(
                "python", "asyncpg is without its C extension", "install a wheel of it"
            )

    async def _kafka(self) -> None:
        settings = self._settings
        waived = settings.replication < PRODUCTION_COPIES
        found = await topics.examine(
            settings.need_kafka(),
            settings.topics,
            partitions=settings.partitions,
            waive_copies=waived,
            rights=True,
        )
        for wrong in found.wrong:
            self._report.add("kafka", *wrong)
        if waived:
            self._report.notes.append(
                f"JOBS_REPLICATION is {settings.replication}: an acknowledged job may be on one"
                " disk only"
            )
        self._cluster = found

    async def _postgres(self) -> None:
        url = self._settings.need_database()
        async with Pool(url, 1, name="job-doctor", settings=SERVICE) as pool:
            with told(url):
                async with pool.connection() as connection:
                    await self._room(connection)
                    await self._clock_of_postgres(connection)
                    if not await self._may_read(connection):
                        return
                    await assert_migrated(connection)
                    self._positions = await examining.positions(connection)
                    for topic, count in (await examining.kept_aside(connection)).items():
                        self._report.add(
                            "records",
                            f"{count:,} records of {topic} are kept aside, which no projector"
                            " could read",
                            "deploy a projector that can: it folds them by itself",
                        )
                if self._cluster is not None:
                    cluster = self._cluster.cluster
                    await Cluster(pool).compare(
                        self._settings.partitions, cluster.id, cluster.topics
                    )

    async def _may_read(self, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
        """Tell every right that is missing; whether the rest can be looked at."""
        missing = await examining.missing_rights(connection)
        for right in missing:
            self._report.add("postgres", f"a right is missing: {right}", f"GRANT {right}")
        return not any(right.startswith(("USAGE", "SELECT")) for right in missing)

    async def _room(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        allowed, used = await examining.room(connection)
        ours = SERVICE_CONNECTIONS + LOOKING_CONNECTIONS + BESIDE_THE_POOLS
        needed = self._settings.connections + ours
        if needed > allowed:
            self._report.add(
                "postgres",
                f"a worker needs {needed} connections, and the server allows {allowed}",
                "raise its max_connections, or lower JOBS_CONNECTIONS",
            )
        elif needed > allowed - used:
            self._report.notes.append(
                f"{used} of {allowed} connections are taken: another worker, which needs {needed},"
                " would wait for some"
            )

    async def _clock_of_postgres(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._apart("the database's", await examining.clock_ahead(connection))

    async def _clock_of_kafka(self) -> None:
        settings = self._settings
        ahead = await timing.clock_ahead(settings.need_kafka(), settings.topics)
        if ahead is None:
            self._report.notes.append("the broker's clock was not asked: no topic may be made")
        else:
            self._apart("the broker's", ahead)

    def _apart(self, whose: str, ahead: float) -> None:
        if abs(ahead) > SECONDS_APART:
            side = "ahead of" if ahead > 0 else "behind"
            self._report.add(
                "clock",
                f"{whose} clock is {abs(ahead):,.1f} s {side} this machine's",
                "let a time service (NTP) set both",
            )

    async def _records(self) -> None:
        settings = self._settings
        codec = await asyncio.to_thread(AvroCodec)
        look = Legibility(codec, settings.topics, settings.partitions, SystemClock())
        async with KafkaReader(settings.need_kafka(), look.places) as reader:
            for said in await look.look(reader, self._positions or {}):
                self._report.add("records", said)
