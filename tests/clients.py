"""A client on the memory adapters, whose history comes only as far as a test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from processor.adapters.avro import AvroCodec
from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.log import MemoryLog
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.memory.topics import MemoryTopics
from processor.domain.submission import SubmissionRecord
from processor.domain.topics import Topics
from processor.ports.log import Place
from processor.ports.projection import Move
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker, places_of
from processor.runtime.client import Client
from processor.runtime.submitting import Submitter
from projections.history import FoldedHistory, HistoryProjection

PARTITIONS = 3
TOPICS = Topics("jobs")
CODEC = AvroCodec()


@dataclass
class MemoryClient:
    """One client and what it can reach."""

    clock: ManualClock = field(default_factory=ManualClock)
    kept: int = 100
    asked: int = 0
    """How often somebody wanted to know where the lanes end."""

    def __post_init__(self) -> None:
        self.topics = MemoryTopics(TOPICS.every, PARTITIONS, self.clock)
        self.log = MemoryLog(self.topics)
        self.rows = MemoryProjections()
        self.projection = HistoryProjection(TOPICS, PARTITIONS, CODEC)
        acknowledged = Acknowledged(self.kept)
        submitter = Submitter(self.log, CODEC, self.clock, TOPICS, PARTITIONS, acknowledged)
        self.history = FoldedHistory(self.rows, CODEC)
        self.client = Client(submitter, Asker(self.history, acknowledged, self.ends, self.clock))

    async def ends(self) -> Mapping[Place, int]:
        self.asked += 1
        places = places_of(TOPICS, PARTITIONS)
        return {place: self.topics.partitions[place].end for place in places}

    async def project(self) -> None:
        """Let the history come as far as the log goes."""
        for place in self.projection.places:
            before = self.rows.checkpoints.get((self.projection.name, place), 0)
            records = self.topics.read(place, before, 1_000_000)
            if not records:
                continue
            folded = self.projection.fold({place: records})
            self.rows.checkpoints.setdefault((self.projection.name, place), 0)
            move = Move(place, before, before + len(records))
            assert await self.rows.write(self.projection.name, [move], folded.batch)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for whoever waits, in small steps."""
        for _ in range(round(seconds * 100)):
            for _ in range(20):
                await asyncio.sleep(0)
            self.clock.advance(0.01)

    def appended(self) -> int:
        """How many records all topics hold."""
        return sum(partition.end for partition in self.topics.partitions.values())

    def records(self) -> list[SubmissionRecord]:
        """Every submission in the lanes: by lane, partition and offset."""
        return [
            CODEC.decode_submission(record.value or b"")
            for place in places_of(TOPICS, PARTITIONS)
            for record in self.topics.partitions[place].records
        ]
