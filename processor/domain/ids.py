"""How are jobs, events, dead letters and entities named?

Everything here is frozen: producers, workers and projectors of different releases must agree on
it, so each constant and encoding has a golden test. Names are length-prefixed before hashing, so
that ("ab", "c") and ("a", "bc") never meet. UUIDv5 and UUIDv7 are those of RFC 9562.
"""

from __future__ import annotations

from hashlib import blake2b, sha1
from typing import TYPE_CHECKING, Final, NewType
from uuid import UUID, SafeUUID

if TYPE_CHECKING:
    from collections.abc import Callable

JobId = NewType("JobId", UUID)

DEDUPE_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a01")
EVENT_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a02")
DEAD_LETTER_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a03")
FOLLOW_UP_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a04")
UNDECODABLE_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a05")
BREAKER_NAMESPACE: Final = UUID("6f3e1bb8-3b0e-5d0c-9a3d-2a5c6f0b7a06")

_VERSION_AND_VARIANT_MASK: Final = ~((0xF << 76) | (0x3 << 62))
_RFC_VARIANT: Final = 0x2 << 62

# The slots of UUID, set directly: three times as fast as UUID(int=…), which looks at each of its
# six arguments, and there is an id or two for every submission made or read.
_new: Final[Callable[[type[UUID]], UUID]] = object.__new__
_set_int: Final[Callable[[UUID, int], None]] = vars(UUID)["int"].__set__
_set_safety: Final[Callable[[UUID, SafeUUID], None]] = vars(UUID)["is_safe"].__set__
_UNKNOWN: Final = SafeUUID.unknown


def uuid_of(value: int) -> UUID:
    """The id of 128 bits; the caller answers for its not being more."""
    identity = _new(UUID)
    _set_int(identity, value)
    _set_safety(identity, _UNKNOWN)
    return identity


def uuid7(milliseconds: int, randomness: int) -> UUID:
    """A time-ordered id from a time since the epoch and 74 random bits."""
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | (randomness >> 62 & 0xFFF) << 64
    return uuid_of(value | 0x7 << 76 | _RFC_VARIANT | randomness & 0x3FFF_FFFF_FFFF_FFFF)


def uuid5(namespace: UUID, name: bytes) -> UUID:
    """The id that a name has within a namespace; the standard library's takes text only."""
    digest = int.from_bytes(sha1(namespace.bytes + name, usedforsecurity=False).digest()[:16])
    return uuid_of(digest & _VERSION_AND_VARIANT_MASK | 0x5 << 76 | _RFC_VARIANT)


def encode_name(*parts: str | int | bytes | None) -> bytes:
    """One unambiguous byte string of several parts; an absent part differs from an empty one."""
    encoded = bytearray()
    for part in parts:
        if part is None:
            encoded += b"\xff\xff\xff\xff"
            continue
        raw = part if isinstance(part, bytes) else str(part).encode()
        encoded += len(raw).to_bytes(4)
        encoded += raw
    return bytes(encoded)


def job_of_dedupe_key(tenant: str | None, type_: str, entity: str | None, key: str) -> JobId:
    """The id of every submission with this key; `entity` as given, which may be none."""
    return JobId(uuid5(DEDUPE_NAMESPACE, encode_name(tenant, type_, entity, key)))


def job_of_undecodable(cluster: str, topic: str, partition: int, offset: int) -> JobId:
    """The job that stands for a record which cannot be decoded."""
    return JobId(uuid5(UNDECODABLE_NAMESPACE, encode_name(cluster, topic, partition, offset)))


def follow_up_of(parent: JobId, generation: int, index: int) -> JobId:
    """The id of the index-th submission (from 0) made by a handler in one generation."""
    return JobId(uuid5(FOLLOW_UP_NAMESPACE, encode_name(parent.bytes, generation, index)))


def event_id(job: JobId, generation: int, timeline: int, index: int) -> UUID:
    """The id by which copies of an event are recognised anywhere."""
    return uuid5(EVENT_NAMESPACE, encode_name(job.bytes, generation, timeline, index))


def dead_letter_id(job: JobId, generation: int) -> UUID:
    """The id of the dead letter that a generation leaves when it fails for good."""
    return uuid5(DEAD_LETTER_NAMESPACE, encode_name(job.bytes, generation))


def breaker_event_id(hold: int, opened_at: int, state: str) -> UUID:
    """The id of the event that a breaker has opened or closed, by its hold and since when."""
    return uuid5(BREAKER_NAMESPACE, encode_name(hold, opened_at, state))


def entity_key(tenant: str | None, entity: str) -> int:
    """The entity's lock key: 64 signed bits, as PostgreSQL's advisory locks take them.

    A collision only serialises two entities.
    """
    digest = blake2b(encode_name(tenant, entity), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def murmur2(data: bytes) -> int:
    """Kafka's hash of a record key, as 32 unsigned bits (Utils.murmur2 of its Java client)."""
    length = len(data)
    mixed = 0x9747B28C ^ length
    for start in range(0, length - 3, 4):
        word = int.from_bytes(data[start : start + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        word = (word ^ word >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        mixed = (mixed * 0x5BD1E995 & 0xFFFFFFFF) ^ word
    rest = data[length & ~3 :]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return mixed ^ mixed >> 15


def partition_of(entity: str, partitions: int) -> int:
    """The partition that every record of an entity goes to, over the pinned count."""
    return (murmur2(entity.encode()) & 0x7FFFFFFF) % partitions
