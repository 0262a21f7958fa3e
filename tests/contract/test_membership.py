"""Do Kafka's group and the one in memory want the same of their members?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from processor.adapters.clock import SystemClock
from processor.adapters.kafka.membership import KafkaMembership
from processor.adapters.kafka.topics import create
from processor.adapters.memory.membership import MemoryGroup, MemoryMembership
from processor.domain.topics import Topics
from processor.ports.membership import Membership

PARTITIONS = 5
ALL = frozenset(range(PARTITIONS))


class World(Protocol):
    """One group; members are told apart by their names."""

    def member(self, name: str) -> AbstractAsyncContextManager[Membership]: ...
    def silence(self, name: str) -> None:
        """The coordinator answers this member no more."""

    def halt(self, name: str) -> None:
        """The worker of this member makes no progress any more."""


@dataclass
class MemoryWorld:
    group: MemoryGroup
    members: dict[str, MemoryMembership] = field(default_factory=dict)

    def member(self, name: str) -> AbstractAsyncContextManager[Membership]:
        self.members[name] = MemoryMembership(self.group, name, SystemClock())
        return self.members[name]

    def silence(self, name: str) -> None:
        self.members[name].cut()

    def halt(self, name: str) -> None:
        self.members[name].cut()
        self.group.expel(self.members[name])


@dataclass
class KafkaWorld:
    address: str
    topics: Topics
    members: dict[str, KafkaMembership] = field(default_factory=dict)
    halted: set[str] = field(default_factory=set)

    def member(self, name: str) -> AbstractAsyncContextManager[Membership]:
        self.members[name] = KafkaMembership(
            self.address,
            f"worker.{self.topics.namespace}",
            self.topics.lanes,
            PARTITIONS,
            progress=lambda: name not in self.halted,
            session_seconds=2.0,
            heartbeat_seconds=0.2,
            poll_seconds=0.6,
            stop_seconds=0.5,
        )
        return self.members[name]

    def silence(self, name: str) -> None:
        coordinator = self.members[name]._consumer._coordinator  # noqa: SLF001 - cut in there

        async def unheard(_request: object) -> None:
            await asyncio.get_running_loop().create_future()

        coordinator._send_req = unheard  # noqa: SLF001 - the same

    def halt(self, name: str) -> None:
        self.halted.add(name)


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld(MemoryGroup(PARTITIONS))
    else:
        address = request.getfixturevalue("stack").kafka
        topics = Topics(namespace)
        await create(address, topics, partitions=PARTITIONS, copies=1, in_sync=1)
        yield KafkaWorld(address, topics)


async def wanted(member: Membership, fits: Callable[[frozenset[int]], bool]) -> frozenset[int]:
    """Wait until the group wants something that fits."""
    while not fits(member.assigned()):
        await member.changed()
    return member.assigned()


async def older(member: Membership, seconds: float) -> float:
    """Wait until the last heartbeat's answer is so old."""
    while (age := member.heartbeat_age()) <= seconds:  # noqa: ASYNC110 - it says no word of itself
        await asyncio.sleep(seconds - age)
    return member.heartbeat_age()


async def test_before_it_joined_a_member_has_no_partition_and_no_heartbeat(world: World) -> None:
    outsider = world.member("a")
    assert isinstance(outsider, (MemoryMembership, KafkaMembership))
    assert outsider.assigned() == frozenset()
    assert outsider.heartbeat_age() == math.inf


async def test_the_only_member_gets_every_partition(world: World) -> None:
    async with world.member("a") as member:
        assert await wanted(member, bool) == ALL
        assert member.heartbeat_age() < 2.0


async def test_two_members_share_the_partitions_without_a_common_one(world: World) -> None:
    async with world.member("a") as one, world.member("b") as two:
        await wanted(one, lambda some: 0 < len(some) < PARTITIONS)
        await wanted(two, lambda some: 0 < len(some) < PARTITIONS)
        assert one.assigned() | two.assigned() == ALL
        assert not one.assigned() & two.assigned()
        assert {len(one.assigned()), len(two.assigned())} == {2, 3}


async def test_a_member_that_leaves_hands_over_at_once(world: World) -> None:
    async with AsyncExitStack() as staying:
        one = await staying.enter_async_context(world.member("a"))
        async with world.member("b") as two:
            await wanted(two, lambda some: 0 < len(some) < PARTITIONS)
            await wanted(one, lambda some: 0 < len(some) < PARTITIONS)
        assert await wanted(one, lambda some: some == ALL) == ALL


async def test_a_member_that_the_coordinator_does_not_answer_sees_its_age_grow(
    world: World,
) -> None:
    async with world.member("a") as member:
        await wanted(member, bool)
        world.silence("a")
        began = time.monotonic()
        assert await older(member, 0.5) > 0.5
        assert member.heartbeat_age() <= time.monotonic() - began + 1.0
        assert member.assigned() == ALL, "it knows of nothing, so it may not rely on it"


async def test_a_member_whose_worker_stands_still_is_no_longer_counted(world: World) -> None:
    async with world.member("a") as halted, world.member("b") as other:
        await wanted(halted, lambda some: 0 < len(some) < PARTITIONS)
        await wanted(other, lambda some: 0 < len(some) < PARTITIONS)
        world.halt("a")
        assert await wanted(other, lambda some: some == ALL) == ALL
        assert await older(halted, 0.5) > 0.5
