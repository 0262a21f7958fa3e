"""What does the cluster say of itself and of its topics, their own ids included?

A topic that was deleted and made again has its old name and another id. The client asks in an older
version of the protocol, which does not tell ids; this request is the same in the first version that
does, which brokers since Apache Kafka 2.8 answer.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import RequestHeader_v2, ResponseHeader_v1
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METADATA: Final = 3
VERSION: Final = 11
BYTES_OF_AN_ID: Final = 16
NO_ID: Final = bytes(BYTES_OF_AN_ID)
NOT_TOLD: Final = -(2**31)


class Topic(NamedTuple):
    """A topic as the cluster describes it."""

    id: str
    """Kafka's own id, written as its tools do."""
    copies: Sequence[int]
    """Of each partition, how many replicas it has."""
    operations: int | None = None
    """A bit for each operation that this user may do, by its number; None where it is not told."""


class Described(NamedTuple):
    """What the cluster answers."""

    cluster: str
    brokers: int
    topics: Mapping[str, Topic]
    """Those of the topics asked for that there are."""


async def describe(admin: Any, names: Sequence[str]) -> Described:  # noqa: ANN401 - aiokafka ships no types
    """Ask an admin client's cluster about itself and some topics, making none."""
    client = admin._client  # noqa: SLF001 - its own requests tell no ids
    answer = await client.send(client.get_random_node(), _Ask(names))
    _, brokers, cluster, _, found, _ = answer
    topics = {
        name: Topic(
            _written(identity),
            [len(partition[4]) for partition in partitions],
            None if operations == NOT_TOLD else operations,
        )
        for code, name, identity, _, partitions, operations, *_ in found
        if for_code(code) is NoError
    }
    return Described(cluster, len(brokers), topics)


def _written(identity: bytes) -> str:
    return urlsafe_b64encode(identity).decode().rstrip("=")


class _Id:
    """Sixteen bytes, as the client's other types encode and decode theirs."""

    @staticmethod
    def encode(value: bytes) -> bytes:
        return value

    @staticmethod
    def decode(data: BytesIO) -> bytes:
        return data.read(BYTES_OF_AN_ID)


_TEXT: Final = CompactString("utf-8")
_NUMBERS: Final = CompactArray(Int32)
_BROKER: Final = CompactArray(
    ("node_id", Int32),
    ("host", _TEXT),
    ("port", Int32),
    ("rack", _TEXT),
    ("tags", TaggedFields),
)
_PARTITION: Final = CompactArray(
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", _NUMBERS),
    ("in_sync", _NUMBERS),
    ("offline", _NUMBERS),
    ("tags", TaggedFields),
)
_TOPIC: Final = CompactArray(
    ("error_code", Int16),
    ("topic", _TEXT),
    ("id", _Id),
    ("is_internal", Boolean),
    ("partitions", _PARTITION),
    ("operations", Int32),
    ("tags", TaggedFields),
)


_ASKED: Final = Schema(
    ("topics", CompactArray(("id", _Id), ("topic", _TEXT), ("tags", TaggedFields))),
    ("makes_missing_ones", Boolean),
    ("tells_operations", Boolean),
    ("tags", TaggedFields),
)
_ANSWER: Final = Schema(
    ("throttle_ms", Int32),
    ("brokers", _BROKER),
    ("cluster_id", _TEXT),
    ("controller", Int32),
    ("topics", _TOPIC),
    ("tags", TaggedFields),
)


class _Answer:
    @staticmethod
    def decode(data: BytesIO) -> Any:  # noqa: ANN401
        return _ANSWER.decode(data)


class _Ask:
    """The request, of the shape in which the client's connections take one."""

    API_KEY = METADATA
    API_VERSION = VERSION
    RESPONSE_TYPE = _Answer

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Self:
        """Itself, if the broker takes this version; raises `ConfigurationError`."""
        lowest, highest = versions[METADATA]
        if not lowest <= VERSION <= highest:
            raise ConfigurationError(
                "the broker does not tell the ids of topics; Apache Kafka 2.8 or later is needed"
            )
        return self

    def encode(self) -> bytes:
        """Its bytes after the header."""
        tags: dict[int, bytes] = {}
        topics = [(NO_ID, name, tags) for name in self._names]
        encoded: bytes = _ASKED.encode((topics, False, True, tags))
        return encoded

    def build_request_header(self, correlation_id: int, client_id: str) -> Any:  # noqa: ANN401
        """The header that this version goes with."""
        return RequestHeader_v2(self, correlation_id=correlation_id, client_id=client_id)

    def parse_response_header(self, data: BytesIO) -> Any:  # noqa: ANN401
        """The header that its answer comes with."""
        return ResponseHeader_v1.decode(data)
