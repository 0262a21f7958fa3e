"""How is one Kafka node, broker and controller in one process, formatted and run?"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from processor.local import java
from processor.local.ports import HOST, Ports
from processor.local.server import Program, run

LARGEST_RECORD = 5 * 1024 * 1024
"""Bytes; our own limit is 4 MiB, and a record has a frame around it."""
NOTHING: Final[Mapping[str, str | int]] = MappingProxyType({})


def properties(data: Path, ports: Ports) -> Mapping[str, str | int]:
    """The node's configuration."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{HOST}:{ports.kafka},CONTROLLER://{HOST}:{ports.controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.kafka}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"{HOST}:{ports.controller}",
        "log.dirs": str(data),
        "num.partitions": 1,
        "num.io.threads": 2,
        "num.network.threads": 2,
        "auto.create.topics.enable": "false",
        "message.max.bytes": LARGEST_RECORD,
        "replica.fetch.max.bytes": LARGEST_RECORD,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # 128 MB of a small heap by default, for compacting.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        # A node started again waits until its former life's session has run out: 9 s by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }


def node(
    folder: Path, jars: Path, ports: Ports, heap: str, changed: Mapping[str, str | int] = NOTHING
) -> Program:
    """The broker, `changed` in some properties; writes its configuration."""
    configuration = folder / "kafka.properties"
    settings = {**properties(folder / "kafka", ports), **changed}
    lines = (f"{key}={value}\n" for key, value in settings.items())
    configuration.write_text("".join(lines), "utf-8")
    return java.program(folder, jars, heap, "kafka.Kafka", str(configuration))


async def prepare(folder: Path, jars: Path) -> None:
    """Format the node's storage, once in the life of a data folder."""
    if (folder / "kafka" / "meta.properties").exists():
        return
    await run(
        java.program(
            folder,
            jars,
            "128m",
            *("kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"),
            *("--cluster-id", cluster_id(), "--config", str(folder / "kafka.properties")),
        )
    )


def cluster_id(made: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """A new id as Kafka writes them; none that its own command line would take for an option."""
    while True:
        cluster = base64.urlsafe_b64encode(made().bytes).decode().rstrip("=")
        if not cluster.startswith("-"):
            return cluster
