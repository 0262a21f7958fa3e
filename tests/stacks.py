"""How does a stack in containers start for tests?"""

from __future__ import annotations

import contextlib
import gc
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from processor.local.ports import HOST, reserved
from processor.local.stack import Stack

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"


def engine_missing() -> str | None:
    """Why no container can be started here; None when one can."""
    # By name: for a type checker our folder `docker` lies before the package of that name.
    refused: type[Exception] = importlib.import_module("docker.errors").DockerException
    with warnings.catch_warnings():
        # A client that finds no engine leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            DockerClient().client.ping()
        except refused as error:
            return f"and none answers: {error}"
        finally:
            gc.collect()
    return None


@contextlib.contextmanager
def containers(folder: Path) -> Iterator[Stack]:
    """Both servers in containers, on ports of the loopback that were free."""
    with reserved(folder) as ports:
        pass  # an engine may refuse to publish a port that is held
    with _kafka(ports.kafka), _postgres(ports.postgres):
        yield Stack(
            folder, f"{HOST}:{ports.kafka}", f"postgresql://jobs@{HOST}:{ports.postgres}/jobs"
        )


def _kafka(port: int) -> DockerContainer:
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        # The client's port is the container's own, or the broker would name one nobody reaches.
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{HOST}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": str(5 * 1024 * 1024),
        "KAFKA_REPLICA_FETCH_MAX_BYTES": str(5 * 1024 * 1024),
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    return container.with_envs(**settings)


def _postgres(port: int) -> DockerContainer:
    container = DockerContainer(POSTGRES_IMAGE).with_bind_ports(5432, port)
    # Twice: the image starts once to initialise itself, and then in earnest.
    container.waiting_for(LogMessageWaitStrategy("database system is ready", times=2))
    return container.with_envs(
        POSTGRES_USER="jobs", POSTGRES_DB="jobs", POSTGRES_HOST_AUTH_METHOD="trust"
    )
