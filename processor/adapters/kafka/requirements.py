"""What must be so of the client and of the topics, and what is it not?

Each thing that is wrong is a sentence, and how to mend it: whoever starts refuses at the first, and
`processor doctor` tells them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from processor.domain.limits import RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processor.adapters.kafka.describing import Topic
    from processor.domain.topics import Topics

COPIES: Final = 3
IN_SYNC: Final = 2
WEEK: Final = 7 * 24 * 3600 * 1000
FOR_EVER: Final = "-1"
_MUST_BE: Final = ("cleanup.policy", "message.timestamp.type", "retention.ms", "retention.bytes")
_OPERATIONS: Final = {3: "read", 4: "write", 6: "delete records of", 8: "describe"}
"""What is done with a topic, by the protocol's number."""


class Wrong(NamedTuple):
    """Something that is not as it must be."""

    what: str
    mend: str = ""
    """What to do, where the sentence does not say so itself."""


def settings(topics: Topics, name: str, in_sync: int) -> dict[str, str]:
    """The configuration of a topic: nothing unread is deleted by age, save what has its copy."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(WEEK) if name in topics.news else FOR_EVER,
        "retention.bytes": FOR_EVER,
        "max.message.bytes": str(RECORD_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": "false",
    }


def of_the_client() -> Iterator[Wrong]:
    """Whether it has its C extension."""
    from aiokafka.record import default_records  # noqa: PLC0415 - looked at, not used

    if default_records.DefaultRecordBatchBuilder is default_records._DefaultRecordBatchBuilderPy:  # noqa: SLF001
        yield Wrong(
            "aiokafka runs without its C extension, ten times slower;"
            " install a wheel of it and unset AIOKAFKA_NO_EXTENSIONS"
        )


def of_partitions(topics: Topics, known: Mapping[str, Topic], wanted: int) -> Iterator[Wrong]:
    """Whether every topic is there, with as many partitions as are pinned."""
    for name in topics.every:
        topic = known.get(name)
        if topic is None:
            yield Wrong(f"the topic {name} does not exist: run `processor migrate`")
            continue
        found = len(topic.copies)
        if found != wanted:
            yield Wrong(
                f"the topic {name} has {found} partitions, and this namespace was made with"
                f" {wanted}; entities would change places, so nothing was started",
                "set JOBS_PARTITIONS back, or take another JOBS_NAMESPACE and an empty database",
            )


def of_settings(topics: Topics, name: str, found: Mapping[str, str]) -> Iterator[Wrong]:
    """Whether a topic keeps what it must, and takes what we send."""
    wanted = settings(topics, name, 1)
    for setting in _MUST_BE:
        if found[setting] != wanted[setting]:
            yield Wrong(
                f"the topic {name} has {setting}={found[setting]}, and {wanted[setting]} is needed",
                _alter(name, setting, wanted[setting]),
            )
    if int(found["max.message.bytes"]) < RECORD_BYTES:
        yield Wrong(
            f"the topic {name} has max.message.bytes={found['max.message.bytes']},"
            f" and {RECORD_BYTES} is needed",
            _alter(name, "max.message.bytes", str(RECORD_BYTES)),
        )


def of_copies(name: str, topic: Topic, found: Mapping[str, str]) -> Iterator[Wrong]:
    """Whether an acknowledged record survives the loss of a broker."""
    copies = min(topic.copies)
    if copies < COPIES:
        yield Wrong(
            f"the topic {name} has {copies} replicas, and {COPIES} are needed,"
            " so that an acknowledged job survives the loss of a broker",
            "give it more with kafka-reassign-partitions, or waive it with JOBS_REPLICATION",
        )
    if int(found["min.insync.replicas"]) < IN_SYNC:
        yield Wrong(
            f"the topic {name} has min.insync.replicas={found['min.insync.replicas']},"
            f" and {IN_SYNC} is needed",
            _alter(name, "min.insync.replicas", str(IN_SYNC)),
        )
    if found["unclean.leader.election.enable"] != "false":
        yield Wrong(
            f"the topic {name} has unclean.leader.election.enable="
            f"{found['unclean.leader.election.enable']}, and false is needed",
            _alter(name, "unclean.leader.election.enable", "false"),
        )


def of_rights(name: str, topic: Topic) -> Iterator[Wrong]:
    """Whether this user may do with a topic what workers do, as far as the broker tells."""
    if topic.operations is None:
        return
    for operation, word in _OPERATIONS.items():
        if not topic.operations >> operation & 1:
            yield Wrong(
                f"this user may not {word} the topic {name}", "grant it with kafka-acls --add"
            )


def _alter(name: str, setting: str, value: str) -> str:
    return (
        f"kafka-configs --alter --entity-type topics --entity-name {name}"
        f" --add-config {setting}={value}"
    )
